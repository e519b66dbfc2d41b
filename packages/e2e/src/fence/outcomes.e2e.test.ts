import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { agentRoutes, type FenceVmFromPeerCmd } from '@fenceline/protocol';
import type { AgentHost } from '../agent/agentLab.js';
import { BAD_PROGRAMS, serveBadPrograms } from './badPrograms.js';
import { BAD_PORTS, serveBadSockets } from './badSockets.js';
import { FenceSite, labDir, outcomeOf, tripleOf, type Fenced, type SiteVm } from './fenceSite.js';

jest.setTimeout(90_000);

let site: FenceSite;
let vm: SiteVm;

beforeAll(async () => {
  site = await FenceSite.up(labDir(tmpdir(), 'outcomes'), 4);
  vm = await site.newVm('web1');
});
afterAll(() => site.agents.lab.purge());

interface Expected {
  name: string;
  outcome: string;
  triple: string;
}

/** What came of each, beside what should have; `late` breaks F25: `sshTimeoutSec` and two seconds. */
function compare(
  wanted: readonly Expected[],
  answers: readonly Fenced[],
  sshTimeoutSec: number,
): void {
  const seen = answers.map((answer, i) => ({
    name: wanted[i]?.name,
    outcome: outcomeOf(answer),
    triple: tripleOf(answer),
    late: answer.ms > sshTimeoutSec * 1_000 + 2_000 ? answer.ms : false,
  }));
  expect(seen).toEqual(
    wanted.map(({ name, outcome, triple }) => ({ name, outcome, triple, late: false })),
  );
}

test('F22, F24, F25: what runs behind the login may say what it likes: no verdict without proof', async () => {
  const portOf = await serveBadPrograms(site.suspect.host);
  const answers = await site.fenceAll(
    BAD_PROGRAMS.map((one) => site.order(vm, { targetHostSshPort: portOf(one), sshTimeoutSec: 3 })),
  );
  compare(BAD_PROGRAMS, answers, 3);
});

const NONE = 'none';
const on = (targetHostSshPort: number): Partial<FenceVmFromPeerCmd> => ({ targetHostSshPort });
const OTHER_KEY = `ssh-ed25519 ${'A'.repeat(68)}`;
const OTHER_HOST = '0a000000-0000-4000-8000-00000000000f';

const SOCKETS: [name: string, over: Partial<FenceVmFromPeerCmd>, outcome: string][] = [
  ['accepted, and not a word', on(BAD_PORTS.silent), 'noBanner'],
  ['closed at once, each time', on(BAD_PORTS.closes), 'noBanner'],
  ['reset at once, each time', on(BAD_PORTS.resets), 'noBanner'],
  ['a banner, and no key exchange', on(BAD_PORTS.bannerOnly), 'kexFailed'],
  ['a banner, and garbage', on(BAD_PORTS.garbage), 'kexFailed'],
  ['another protocol', on(BAD_PORTS.http), 'kexFailed'],
  ['lines before a banner that never comes', on(BAD_PORTS.trickles), 'kexFailed'],
  [
    'a full accept queue: SYNs are dropped, the kernel lives',
    on(BAD_PORTS.full),
    'refusedConnection',
  ],
  ['nobody listens: refused', on(BAD_PORTS.nobody), 'refusedConnection'],
  ['another host key than the pinned one', on(BAD_PORTS.otherKey), 'hostKeyMismatch'],
  ['our key is let in by nobody', { targetHostUsername: 'nobody' }, 'authFailed'],
  ['no decision about our key', on(BAD_PORTS.slowAuth), 'authFailed'],
  ['the pinned key is not what the host shows', { targetHostKeys: [OTHER_KEY] }, 'hostKeyMismatch'],
  ['no host key is pinned: nobody is asked', { targetHostKeys: [] }, 'localError'],
  ['another machine behind the address', { targetHostUuid: OTHER_HOST }, 'wrongHost'],
  ['ENETUNREACH is about the peer', { targetHostIp: '192.0.2.9' }, 'localError'],
];

test('F23, F25: sockets that are not a healthy sshd: never dead, never unreachable', async () => {
  await serveBadSockets(site.suspect.host);
  const answers = await site.fenceAll(
    SOCKETS.map(([, over]) =>
      site.order(vm, { sshTimeoutSec: 3, connectTimeoutMs: 1_500, ...over }),
    ),
  );
  compare(
    SOCKETS.map(([name, , outcome]) => ({ name, outcome, triple: NONE })),
    answers,
    3,
  );
  // None of them came so far as to close anything on the suspect.
  const { host } = site.suspect;
  expect((await host.exec(['ls', `/run/fenceline/barriers/${vm.vmUuid}`])).code).not.toBe(0);
});

test('F29a: without a token that lies there, with a wrong or a used one: badOrderToken, and nothing was touched', async () => {
  const { suspect, agents } = site;
  const { host } = suspect;
  const [deposited, next] = ['1'.repeat(32), '2'.repeat(32)];
  await site.connectAll({ orderTokens: true });
  const tokens = [deposited, next];
  await agents.must(suspect, agentRoutes.orderTokens, { tokens, replace: true });
  const pid = await site.start(vm, 7);
  const left = async (): Promise<string[]> =>
    (await host.mustExec(['ls', '/run/fenceline/tokens'])).trim().split('\n');
  const refused: [string, Partial<FenceVmFromPeerCmd>][] = [
    ['no token', {}],
    ['a token that nobody deposited', { orderToken: '3'.repeat(32) }],
    ['a part of one', { orderToken: `${'1'.repeat(31)}2` }],
  ];
  const names = (what: [string, unknown][]): Expected[] =>
    what.map(([name]) => ({ name, outcome: 'badOrderToken', triple: NONE }));
  const orders = refused.map(([, over]) => site.order(vm, { sshTimeoutSec: 5, ...over }));
  compare(names(refused), await site.fenceAll(orders), 5);
  expect((await host.exec(['test', '-e', `/proc/${pid}`])).code).toBe(0);
  expect((await host.exec(['ls', `/run/fenceline/barriers/${vm.vmUuid}`])).code).not.toBe(0);
  expect(await left()).toEqual(tokens);

  expect(outcomeOf(await site.fence(vm, { orderToken: deposited }))).toBe('confirmedDead');
  const newer = await site.start(vm, 8);
  const used = await site.fence(vm, { orderToken: deposited, fenceEpoch: 8 });
  expect([outcomeOf(used), tripleOf(used)]).toEqual(['badOrderToken', NONE]);
  expect((await host.exec(['test', '-e', `/proc/${newer}`])).code).toBe(0);
  expect(await left()).toEqual([next]);
  const last = await site.fence(vm, { orderToken: next, fenceEpoch: 8 });
  expect(outcomeOf(last)).toBe('confirmedDead');
  await site.connectAll();
});

type Fault = [fault: string, outcome: string, triple: string, why: string];
const SILENT = '10.77.1.99';

/** Lists that are worked off side by side, each on a suspect of its own. */
const FAULTS: readonly (readonly Fault[])[] = [
  [
    ['ssh-drop', 'refusedConnection', NONE, 'the kernel answers ICMP'],
    [
      'ssh-unreach',
      'refusedConnection',
      NONE,
      'EHOSTUNREACH of a firewall: the kernel answers ICMP',
    ],
    ['mute', 'refusedConnection', NONE, 'the kernel answers ARP'],
    ['mgmt-cut', 'unreachable', 'unreachable', 'cut, neighbour entry fresh'],
  ],
  [
    ['ssh-reject', 'refusedConnection', NONE, 'somebody refuses'],
    ['sshd-kill', 'refusedConnection', NONE, 'the kernel refuses'],
    ['sshd-hang', 'noBanner', NONE, 'the kernel accepts'],
    ['mgmt-cut cold', 'unreachable', 'unreachable', 'cut, no neighbour entry: EHOSTUNREACH'],
    ['crash', 'unreachable', 'unreachable', 'no power'],
  ],
  [
    ['freeze', 'noBanner', NONE, 'the kernel accepts for a frozen host'],
    ['mgmt-cut no-control', 'deadline', NONE, 'no control is named'],
    ['mgmt-cut silent-control', 'deadline', NONE, 'the control is silent, too'],
    ['mgmt-cut short', 'deadline', NONE, 'not enough time for a look'],
  ],
];

async function underFault(suspect: AgentHost, text: string): Promise<Fenced> {
  const [fault = '', how = ''] = text.split(' ');
  const { host } = suspect;
  const { address } = host;
  const unplugged = fault === 'mgmt-cut' || fault === 'crash';
  const controls = { 'no-control': [], 'silent-control': [SILENT] }[how];
  const over: Partial<FenceVmFromPeerCmd> = {
    sshTimeoutSec: how === 'short' ? 2 : 5,
    connectTimeoutMs: unplugged ? 3_500 : 1_500,
    ...(controls === undefined
      ? {}
      : { controls: controls.map((one) => ({ hostUuid: OTHER_HOST, addresses: [one] })) }),
  };
  await site.peer.host.mustExec(['ping', '-qc1', '-w5', address]);
  await host.fault(fault);
  try {
    if (how === 'cold') await site.peer.host.mustExec(['ip', 'neigh', 'flush', 'to', address]);
    const [fenced] = await site.fenceAll([site.order(vm, over, suspect)]);
    if (fenced === undefined) throw new Error('no answer');
    return fenced;
  } finally {
    await host.fault('clear');
  }
}

test('F23, F25: hosts, nets and firewalls that are broken for real', async () => {
  const [h1, , h3, h4] = site.agents.hosts;
  const all = [h1, h3, h4].map(async (suspect, i) => {
    const answers: Fenced[] = [];
    for (const [fault] of FAULTS[i] ?? [])
      if (suspect !== undefined) answers.push(await underFault(suspect, fault));
    return answers;
  });
  const wanted = FAULTS.flat().map(([fault, outcome, triple, why]) => ({
    ...{ name: `${fault}: ${why}`, outcome, triple },
  }));
  compare(wanted, (await Promise.all(all)).flat(), 5);
});
