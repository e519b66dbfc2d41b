import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { notTold, type Told } from './sentence.js';
import { BadInputSite, SECRET } from './site.js';

const LIMIT_MS = 120_000;
const NOBODY = '11111111-2222-4333-8444-555555555555';
let site: BadInputSite;

beforeAll(async () => {
  site = new BadInputSite();
  await site.startServer(site.serverConfig('server'));
}, LIMIT_MS);
afterAll(() => site.close(), LIMIT_MS);

describe('exit codes and sentences of `fenceline`', () => {
  test.each<[string, Told]>([
    [`vm show ${NOBODY}`, { code: 1, says: [`no VM with uuid ${NOBODY}`, 'fenceline vm list'] }],
    ['vm show 1111', { code: 1, says: ['no VM named 1111', 'fenceline vm list'] }],
    ['vm start web9', { code: 1, says: ['no VM named web9', 'fenceline vm list'] }],
    [
      'vm protect web9 --level sometimes',
      { code: 2, says: ['--level', 'none, on-host-failure, never-stop'] },
    ],
    [`task retry ${NOBODY}`, { code: 1, says: [`no HA task ${NOBODY}`, 'fenceline task list'] }],
    ['host show h9', { code: 1, says: ['no host named h9', 'fenceline host list'] }],
    [
      'host confirm-dead h9 --typed-name h9 --reason seen',
      { code: 1, says: ['no host named h9', 'fenceline host list'] },
    ],
    [
      'host add 10.0.0.300 --name h9',
      { code: 2, says: ['addresses', 'IP address or a host name'] },
    ],
    ['host add 10.0.0.1 --agent-port 70000', { code: 2, says: ['agentPort', '65535'] }],
    ['host add', { code: 2, says: ["missing required argument 'addresses'"] }],
    [
      'settings set ha.preFence.sshTimeoutSec 0',
      { code: 2, says: ['ha.preFence.sshTimeoutSec', 'a whole number from 1 to 300'] },
    ],
    [
      'settings set ha.preFense.mode required',
      { code: 1, says: ['no setting ha.preFense.mode', 'did you mean ha.'] },
    ],
    ['frobnicate', { code: 2, says: ["unknown command 'frobnicate'"] }],
  ])(
    '%s',
    async (line, told) => {
      expect(notTold(await site.cli(line.split(' ')), { ...told, secrets: [site.token] })).toEqual(
        [],
      );
    },
    LIMIT_MS,
  );

  test(
    'an unreachable host: added, not connected, and why',
    async () => {
      const ended = await site.cli(['host', 'add', site.address(9), '--name', 'h9', '--wait']);
      const says = [
        `h9 (${site.address(9)}:7070)`,
        'nothing listens there',
        'start fenceline-agent',
      ];
      expect(notTold(ended, { code: 4, says })).toEqual([]);
      const again = await site.cli(['host', 'add', site.address(9), '--name', 'h9']);
      expect(notTold(again, { code: 1, says: ['the name h9 belongs to host h9 already'] })).toEqual(
        [],
      );
      const typo = ['host', 'confirm-dead', 'h9', '--typed-name', 'h8', '--reason', 'seen'];
      expect(
        notTold(await site.cli(typo), { code: 2, says: ["must be the host's name (h9)"] }),
      ).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    'a role that is not enough',
    async () => {
      const made = await site.cli(['token', 'create', 'guest', '--role', 'viewer', '--json']);
      const { token } = JSON.parse(made.out) as { token: string };
      const ended = await site.cli(['host', 'remove', 'h9'], { FENCELINE_TOKEN: token });
      expect(
        notTold(ended, {
          code: 5,
          says: ["your token's role is not enough"],
          secrets: [token],
        }),
      ).toEqual([]);
    },
    LIMIT_MS,
  );

  const stranger = (): string => site.tls('stranger', { hosts: [] }).cert;
  test.each<[string, () => Record<string, string>, Told]>([
    ['no token', () => ({ FENCELINE_TOKEN: '' }), { code: 2, says: ['set FENCELINE_TOKEN'] }],
    ['a wrong token', () => ({ FENCELINE_TOKEN: SECRET }), { code: 5, says: ['FENCELINE_TOKEN'] }],
    [
      'no CA',
      () => ({ FENCELINE_CA: site.file('none.pem') }),
      { code: 2, says: ['none.pem', 'ENOENT', 'copy it from the server'] },
    ],
    [
      'another CA',
      () => ({ FENCELINE_CA: stranger() }),
      { code: 4, says: ["can't be trusted", 'check FENCELINE_CA'] },
    ],
    [
      'no server there',
      () => ({ FENCELINE_URL: `https://${site.address(5)}:8443` }),
      { code: 4, says: ['nothing listens at https://127.', 'is fenceline-server running'] },
    ],
    [
      'plain HTTP',
      () => ({ FENCELINE_URL: `http://${site.address(1)}:8443` }),
      { code: 2, says: ['url must be like https://server:8443'] },
    ],
  ])(
    '%s',
    async (_what, variables, told) => {
      expect(notTold(await site.cli(['status'], variables()), told)).toEqual([]);
    },
    LIMIT_MS,
  );
});
