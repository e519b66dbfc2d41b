import { describe, expect, test } from '@jest/globals';
import { silentLogger, type CallContext } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { FenceVmFromPeerCmd, parseBody, type FenceVmFromPeerRsp } from '@fenceline/protocol';
import { FakeProgram, SUSPECT, VM_A, wholeAnswer } from '../../test/fakeProgram.js';
import { StandingLine } from './lines/standingLine.js';
import { makePeerFence } from './peerFence.js';
import type { Dialed } from './sshDialer.js';

const PEER = 'bbbbbbbb-2222-4333-8444-555555555555';
const [TOKEN, SPARE, LAST] = ['1'.repeat(32), '2'.repeat(32), '3'.repeat(32)];
const context: CallContext = {
  caller: { role: 'server', name: 'test' },
  signal: new AbortController().signal,
};
const command = (over: object = {}): FenceVmFromPeerCmd =>
  parseBody(FenceVmFromPeerCmd, {
    vmUuid: VM_A,
    fenceEpoch: 7,
    disks: [],
    targetHostUuid: SUSPECT,
    targetHostIp: '10.0.0.1',
    targetHostKeys: ['ssh-ed25519 AAAA'],
    controls: [],
    sshTimeoutSec: 5,
    orderToken: TOKEN,
    spareOrderTokens: [SPARE, LAST],
    ...over,
  });

type Login = FakeProgram | 'noBanner' | 'refused';

/** A peer with standing lines to the suspect, and logins that end as the test says. */
function peer(options: { line?: FakeProgram; door?: FakeProgram; logins?: Login[] }) {
  const clock = new VirtualClock();
  const lines = [options.line, options.door].flatMap((program) =>
    program === undefined ? [] : [new StandingLine(program, clock)],
  );
  const logins = [...(options.logins ?? [])];
  let dials = 0;
  const dial = async (
    _: object,
    { signal, totalMs }: { signal: AbortSignal; totalMs: number },
  ): Promise<Dialed> => {
    dials += 1;
    const one = logins.shift() ?? 'noBanner';
    if (one === 'refused') return { ok: false, failure: one, stages: [] };
    if (one !== 'noBanner') {
      one.say(one.greeting);
      return { ok: true, session: one, address: '10.0.0.1', stages: [{ name: 'connect', ms: 1 }] };
    }
    const failure = await new Promise<'noBanner' | 'aborted'>((settle) => {
      clock.after(totalMs, () => settle('noBanner'));
      signal.addEventListener('abort', () => settle('aborted'));
    });
    return { ok: false, failure, stages: [] };
  };
  const fence = makePeerFence({
    clock,
    random: seededRandom(5),
    log: silentLogger,
    own: { hostUuid: async () => PEER, addresses: async () => ['10.0.0.2'] },
    dialer: { dial },
    lines: { linesTo: () => lines.filter(({ isFree }) => isFree) },
    signs: { look: async () => [] },
  });
  return {
    clock,
    dials: () => dials,
    fenceVm: (over: object = {}): Promise<FenceVmFromPeerRsp> =>
      clock.settle(fence.fenceVm(command(over), context)),
  };
}
const tokenOf = ({ given }: FakeProgram): string | undefined =>
  /token=(\S+)/.exec(given.join(' '))?.[1];
const stages = ({ stages: all }: FenceVmFromPeerRsp): string[] => all.map(({ name }) => name);

describe('F27: a fence over the line', () => {
  test('F27: no login at all, its stage is the line, and it stands afterwards', async () => {
    const line = new FakeProgram();
    const { fenceVm, dials } = peer({ line });
    for (let n = 0; n < 2; n += 1) {
      const rsp = await fenceVm();
      expect(rsp).toMatchObject({
        outcome: 'nothingFound',
        qemuConfirmedDead: true,
        hostUuid: SUSPECT,
      });
      expect(stages(rsp)).toEqual(['line', 'answer']);
    }
    expect(dials()).toBe(0);
    expect(line.orders).toHaveLength(2);
    expect(tokenOf(line)).toBe(TOKEN);
  });

  test('F27: a line that gives no answer is passed by soon, with a token of its own, and closed', async () => {
    const [line, login] = [new FakeProgram(), new FakeProgram()];
    line.mute = true;
    const { fenceVm, clock } = peer({ line, logins: [login] });
    const rsp = await fenceVm();
    expect(rsp).toMatchObject({ outcome: 'nothingFound' });
    expect(stages(rsp).slice(0, 2)).toEqual(['line', 'connect']);
    expect(clock.monotonicMs()).toBeLessThan(1_000);
    expect([tokenOf(login), line.closed]).toEqual([SPARE, true]);
  });

  test('F27: a slow answer of the line still counts where no login is possible', async () => {
    const line = new FakeProgram();
    const { fenceVm, clock, dials } = peer({ line });
    line.answers = (head, vms) => {
      clock.after(2_000, () => wholeAnswer(head, vms).forEach((one) => line.say(one)));
      return [];
    };
    expect(await fenceVm()).toMatchObject({ outcome: 'nothingFound' });
    expect([dials(), line.closed]).toEqual([1, false]);
  });

  test('F23, F24: what the line had found is not undone by a login that fails', async () => {
    const line = new FakeProgram();
    line.answers = () => [`pid ${VM_A} 42 1234 epoch=7`];
    const { fenceVm } = peer({ line });
    expect(await fenceVm()).toMatchObject({ outcome: 'stillAlive', qemuStillAlive: true });
  });

  test('F24: nor by one whose session ends early', async () => {
    const [line, login] = [new FakeProgram(), new FakeProgram()];
    line.answers = () => [`pid ${VM_A} 42 1234 epoch=7`];
    login.answers = () => [];
    const rsp = await peer({ line, logins: [login] }).fenceVm();
    expect(rsp).toMatchObject({ outcome: 'stillAlive', qemuStillAlive: true });
  });

  test('F22: a whole answer to another order is none: the login decides', async () => {
    const [line, login] = [new FakeProgram(), new FakeProgram()];
    line.answers = (head, vms) => wholeAnswer(head.replace(/[0-9a-f]{32}/, '9'.repeat(32)), vms);
    const rsp = await peer({ line, logins: [login] }).fenceVm();
    expect([rsp.outcome, login.orders.length]).toEqual(['nothingFound', 1]);
  });

  test('F23, F24: nor by a login whose program ends without a word', async () => {
    const [line, login] = [new FakeProgram(), new FakeProgram()];
    line.answers = () => [`pid ${VM_A} 42 1234 epoch=7`];
    login.answers = () => {
      login.finish({ kind: 'closed' });
      return [];
    };
    const { fenceVm } = peer({ line, logins: [login] });
    expect(await fenceVm()).toMatchObject({ outcome: 'stillAlive', qemuStillAlive: true });
  });

  test('F23: a line that fell silent says nothing beside what the login saw', async () => {
    const line = new FakeProgram();
    line.mute = true;
    const { fenceVm } = peer({ line });
    expect(await fenceVm()).toMatchObject({ outcome: 'noBanner', qemuConfirmedDead: false });
  });

  test('F25: the whole call ends in its time when line and login are silent', async () => {
    const line = new FakeProgram();
    line.mute = true;
    const { fenceVm, clock } = peer({ line });
    await fenceVm({ sshTimeoutSec: 2 });
    expect(clock.monotonicMs()).toBeLessThanOrEqual(4_000);
  });

  test('F29a: without a spare token nothing is ordered twice', async () => {
    const [line, login] = [new FakeProgram(), new FakeProgram()];
    line.mute = true;
    const { fenceVm, dials } = peer({ line, logins: [login] });
    expect((await fenceVm({ spareOrderTokens: [] })).outcome).toBe('deadline');
    expect(dials()).toBe(0);
  });

  test('F29a: with one token one order is given, over however many ways', async () => {
    const [line, door] = [new FakeProgram(), new FakeProgram()];
    line.mute = true;
    await peer({ line, door, logins: [new FakeProgram()] }).fenceVm({ spareOrderTokens: [] });
    expect([line, door].map(({ given }) => given.length > 0)).toEqual([true, false]);
  });

  test('F29a: where no token is asked for, the login needs none either', async () => {
    const [line, login] = [new FakeProgram(), new FakeProgram()];
    line.mute = true;
    const { fenceVm } = peer({ line, logins: [login] });
    const rsp = await fenceVm({ orderToken: undefined, spareOrderTokens: [] });
    expect([rsp.outcome, tokenOf(login)]).toEqual(['nothingFound', '-']);
  });

  test('F22: the two orders of one call have nonces of their own', async () => {
    const [line, login] = [new FakeProgram(), new FakeProgram()];
    line.mute = true;
    await peer({ line, logins: [login] }).fenceVm();
    const nonces = [line.given, login.given].map(
      (given) => given.find((one) => one.startsWith('fence '))?.split(' ')[1],
    );
    expect(new Set(nonces).size).toBe(2);
  });
});

describe('F27: two lines and a login', () => {
  const muted = (): FakeProgram => Object.assign(new FakeProgram(), { mute: true });

  test('F27: the line over SSH hangs: the door is tried 300 ms later, and no login', async () => {
    const [line, door] = [muted(), new FakeProgram()];
    const { fenceVm, dials, clock } = peer({ line, door });
    const rsp = await fenceVm();
    expect(rsp).toMatchObject({ outcome: 'nothingFound', unusedOrderTokens: [2] });
    expect([tokenOf(line), tokenOf(door), dials()]).toEqual([TOKEN, SPARE, 0]);
    expect(rsp.stages[0]).toEqual({ name: 'line', ms: 300 });
    expect(clock.monotonicMs()).toBeLessThan(400);
    expect([line.closed, door.closed]).toEqual([true, false]);
  });

  test('F27: one after the other, each with a token and a nonce of its own', async () => {
    const [line, door, login] = [muted(), muted(), new FakeProgram()];
    const { fenceVm, clock } = peer({ line, door, logins: [login] });
    expect(await fenceVm()).toMatchObject({ outcome: 'nothingFound', unusedOrderTokens: [] });
    expect([line, door, login].map(tokenOf)).toEqual([TOKEN, SPARE, LAST]);
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(600);
    const nonces = [line, door, login].map(({ given }) =>
      given.find((one) => one.startsWith('fence '))?.slice(0, 40),
    );
    expect(new Set(nonces).size).toBe(3);
  });

  test('F27: a line that breaks does not cost its head start', async () => {
    const [line, door] = [new FakeProgram(), new FakeProgram()];
    line.answers = () => {
      line.finish({ kind: 'closed' });
      return [];
    };
    const { fenceVm, clock } = peer({ line, door });
    expect(await fenceVm()).toMatchObject({ outcome: 'nothingFound' });
    expect(clock.monotonicMs()).toBeLessThan(100);
  });

  test('F27: a line at work is given the time that the work takes', async () => {
    const [line, door] = [new FakeProgram(), new FakeProgram()];
    line.answers = (head, vms) => {
      peerOf.clock.after(1_200, () => wholeAnswer(head, vms).forEach((one) => line.say(one)));
      return [`pid ${VM_A} 42 1234 epoch=7`];
    };
    const peerOf = peer({ line, door });
    expect((await peerOf.fenceVm()).unusedOrderTokens).toEqual([1, 2]);
    expect(door.given).toEqual([]);
  });

  test('F27: but not more: it may have fallen silent in the middle of it', async () => {
    const [line, door] = [new FakeProgram(), new FakeProgram()];
    line.answers = () => [`pid ${VM_A} 42 1234 epoch=7`];
    const { fenceVm, clock } = peer({ line, door });
    expect(await fenceVm()).toMatchObject({ outcome: 'nothingFound' });
    expect(clock.monotonicMs()).toBeLessThan(2_000);
  });

  test('F27: a program that could not look does not keep the next one from looking', async () => {
    const [line, door] = [new FakeProgram(), new FakeProgram()];
    const blind = (text: string): string => text.replace('control=ok', 'control=look-failed');
    line.answers = (head, vms) => wholeAnswer(head, vms).map(blind);
    const { fenceVm } = peer({ line, door });
    expect(await fenceVm()).toMatchObject({ outcome: 'nothingFound' });
    const alone = new FakeProgram();
    alone.answers = line.answers;
    const rsp = await peer({ line: alone, logins: ['noBanner'] }).fenceVm();
    expect(rsp).toMatchObject({ outcome: 'controlFailed', qemuConfirmedDead: false });
  });

  test('F27: the slow first answer still wins over later ways that give none', async () => {
    const [line, door] = [new FakeProgram(), muted()];
    line.answers = (head, vms) => {
      peerOf.clock.after(1_500, () => wholeAnswer(head, vms).forEach((one) => line.say(one)));
      return [];
    };
    const peerOf = peer({ line, door });
    expect(await peerOf.fenceVm()).toMatchObject({ outcome: 'nothingFound' });
    expect(line.closed).toBe(false);
    // The way that was told to stop has an order without an answer: it is worth nothing any more.
    expect(door.closed).toBe(true);
  });
});

describe('F29a: tokens that were in no order', () => {
  test.each<[string, Parameters<typeof peer>[0], number[]]>([
    ['a refused login', { logins: ['refused'] }, [0, 1, 2]],
    ['a login without a banner', { logins: ['noBanner'] }, [0, 1, 2]],
    ['one login', { logins: [new FakeProgram()] }, [1, 2]],
    ['one line', { line: new FakeProgram() }, [1, 2]],
  ])('F29a: %s: they are told as unused', async (_what, options, unused) => {
    expect((await peer(options).fenceVm()).unusedOrderTokens).toEqual(unused);
  });

  test('F29a: where none is asked for, none is told', async () => {
    const none = { orderToken: undefined, spareOrderTokens: [] };
    expect((await peer({ logins: ['refused'] }).fenceVm(none)).unusedOrderTokens).toEqual([]);
  });

  test('F29a: a login that comes to be when the call is over gives no order any more', async () => {
    const late = new FakeProgram();
    const clock = new VirtualClock();
    const fence = makePeerFence({
      ...{ clock, random: seededRandom(5), log: silentLogger },
      own: { hostUuid: async () => PEER, addresses: async () => ['10.0.0.2'] },
      // A dialer that keeps neither its limit nor the signal: its session comes a minute later.
      dialer: {
        dial: () =>
          new Promise<Dialed>((resolve) => {
            clock.after(60_000, () => {
              late.say(late.greeting);
              resolve({ ok: true, session: late, address: '10.0.0.1', stages: [] });
            });
          }),
      },
      lines: { linesTo: () => [] },
      signs: { look: async () => [] },
    });
    const rsp = await clock.settle(fence.fenceVm(command(), context));
    expect(rsp.unusedOrderTokens).toEqual([0, 1, 2]);
    await clock.advance(120_000);
    expect(late.given).toEqual([]);
    expect(late.closed).toBe(true);
  });
});

test('F29a: a token that was refused is followed by the spare one, once', async () => {
  const [first, second] = [new FakeProgram(), new FakeProgram()];
  first.answers = () => ['refused bad-order-token'];
  const { fenceVm, dials } = peer({ logins: [first, second] });
  expect(await fenceVm()).toMatchObject({ outcome: 'nothingFound' });
  expect([tokenOf(first), tokenOf(second), dials()]).toEqual([TOKEN, SPARE, 2]);
});

test('F29a: a token is in the order and nowhere else', async () => {
  const line = new FakeProgram();
  line.answers = () => ['refused bad-order-token'];
  const rsp = await peer({ line }).fenceVm();
  expect(JSON.stringify(rsp)).not.toContain(TOKEN);
  expect(JSON.stringify(rsp)).not.toContain(SPARE);
});
