import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { commandOf, run } from './programs.js';
import { notTold, type Told } from './sentence.js';
import { BadInputSite, SECRET } from './site.js';

const LIMIT_MS = 120_000;
let site: BadInputSite;

beforeAll(() => {
  site = new BadInputSite();
});
afterAll(() => site.close(), LIMIT_MS);

/** A file of configuration that some program is given, and what it says. */
type Case = [what: string, config: () => string, told: Told];

const corrupt = (): string => site.write('corrupt.yaml', `stateDir: /x\ntoken: [${SECRET}`);
const none = (): string => site.file('none.yaml');
const wrong = (): string =>
  site.write('wrong.yaml', `password: ${SECRET}\nlog: {level: loud}\nagent: {port: 70000}`);

describe('fenceline-server', () => {
  test.each<Case>([
    ['a corrupt file', corrupt, { code: 2, says: ['corrupt.yaml', 'not valid YAML at line 2'] }],
    ['no such file', none, { code: 2, says: ['none.yaml', 'ENOENT', '--config'] }],
    [
      'several wrong settings, told at once',
      wrong,
      { code: 2, says: ['password: unknown setting', 'log.level', 'agent: unknown setting'] },
    ],
    [
      'settings that do not fit each other',
      () =>
        site.serverConfig('unfit', {
          ha: { detect: { heartbeatEveryMs: 1_000, silentAfterMs: 1_000 } },
        }),
      { code: 2, says: ['ha.detect.silentAfterMs', 'at least 3 heartbeats'] },
    ],
    [
      'a certificate that is not there',
      () => {
        const api = { ...site.tls('gone', { hosts: [] }), cert: site.file('gone.pem') };
        return site.serverConfig('noCert', { tls: { api } });
      },
      { code: 1, says: ['gone.pem', 'ENOENT', 'put the file there'] },
    ],
    [
      "a key that is not its certificate's, towards agents",
      () => {
        const agents = site.tls('mine', { hosts: [] });
        const { key } = site.tls('other', { hosts: [] });
        const api = site.tls('fine', { hosts: [] });
        return site.serverConfig('noPair', { tls: { api, agents: { ...agents, key } } });
      },
      { code: 1, says: ['mine.cert', 'other.key', 'must belong together', 'section tls'] },
    ],
    [
      'a state directory that can not be',
      () => {
        const stateDir = `${site.write('aFile', '')}/state`;
        return site.serverConfig('noDir', { stateDir });
      },
      { code: 1, says: ['aFile/state', 'ENOTDIR', 'check its path and permissions'] },
    ],
    [
      'a damaged database',
      () => {
        const stateDir = site.file('damaged.state');
        mkdirSync(stateDir);
        writeFileSync(`${stateDir}/fenceline.db`, randomBytes(16_384));
        return site.serverConfig('damaged', { stateDir });
      },
      { code: 1, says: ['damaged.state', 'is damaged', 'restore a backup'] },
    ],
    [
      'an address of another machine',
      () => site.serverConfig('foreign', { server: { address: '192.0.2.7' } }),
      { code: 1, says: ['192.0.2.7 is no address of this machine', 'server.address'] },
    ],
  ])(
    '%s',
    async (_what, config, told) => {
      expect(notTold(await run('server', ['--config', config()]), told)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    'a misspelt variable',
    async () => {
      const config = site.serverConfig('variable');
      const variables = { FENCELINE_HA__PRE_FENSE__MODE: SECRET };
      const ended = await run('server', ['--config', config], variables);
      const says = ['FENCELINE_HA__PRE_FENSE__MODE: unknown setting'];
      expect(notTold(ended, { code: 2, says })).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    'a second server on the same database, and a port in use: the first one goes on',
    async () => {
      const first = await site.startServer(site.serverConfig('server'));
      const stateDir = site.file('server.state');
      const second = site.serverConfig('second', { last: 3, stateDir });
      expect(
        notTold(await run('server', ['--config', second]), {
          code: 1,
          says: ['another server uses the database', stateDir, 'stop it', 'its own stateDir'],
        }),
      ).toEqual([]);
      const samePort = site.serverConfig('samePort');
      expect(
        notTold(await run('server', ['--config', samePort]), {
          code: 1,
          says: [`port 8443 of ${site.address(1)} is in use`, 'stop it', 'server.port'],
        }),
      ).toEqual([]);
      await first.until('the first one answers', async () => {
        const { code } = await site.cli(['status'], { FENCELINE_CA: site.file('server.api.ca') });
        return code === 0;
      });
    },
    LIMIT_MS,
  );
});

describe('fenceline-agent', () => {
  test.each<Case>([
    ['a corrupt file', corrupt, { code: 2, says: ['corrupt.yaml', 'not valid YAML at line 2'] }],
    ['no such file', none, { code: 2, says: ['none.yaml', 'there is no such file'] }],
    [
      'several wrong settings, told at once',
      wrong,
      { code: 2, says: ['password: unknown setting', 'log.level', 'agent.port'] },
    ],
    [
      "a key that is not its certificate's",
      () => {
        const tls = site.tls('agentMine', { hosts: [] });
        const { key } = site.tls('agentOther', { hosts: [] });
        return site.agentConfig('agentPair', { tls: { ...tls, key } });
      },
      { code: 1, says: ['agentMine.cert', 'agentOther.key', 'must belong together'] },
    ],
    [
      'a state directory that can not be',
      () => site.agentConfig('agentDir', { stateDir: `${site.write('agentFile', '')}/state` }),
      { code: 1, says: ['stateDir', 'agentFile/state', 'runs as root and needs it'] },
    ],
  ])(
    '%s',
    async (_what, config, told) => {
      expect(notTold(await run('agent', ['--config', config()]), told)).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    'a port in use',
    async () => {
      const config = site.agentConfig('agent');
      const first = site.start(commandOf('agent', ['--config', config]));
      await first.until('the first one listens', () => first.err.includes('agent started'));
      expect(
        notTold(await run('agent', ['--config', config]), {
          code: 1,
          says: [`${site.address(2)} port 7070 is in use`, 'stop it', 'agent.port'],
        }),
      ).toEqual([]);
    },
    LIMIT_MS,
  );
});
