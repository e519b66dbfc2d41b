import {
  messageOf,
  withLimit,
  type CallContext,
  type Clock,
  type Logger,
  type Random,
} from '@fenceline/common';
import {
  dashed,
  DomainError,
  FenceVmFromPeerRsp,
  FenceVmsFromPeerRsp,
  type FenceTarget,
  type FenceVerdict,
  type FenceVm,
  type FenceVmFromPeerCmd,
  type FenceVmsFromPeerCmd,
} from '@fenceline/protocol';
import { answerFields, outputLimit, verdictFor } from './answers.js';
import { askSigns } from './askSigns.js';
import { encodeOrder, type FenceOrder } from './order.js';
import { isOwnAddress, type OwnHost } from './ownHost.js';
import type { OutputSummary } from './programSession.js';
import { runOrder } from './runOrder.js';
import type { SignsOfLife } from './signsOfLife.js';
import type { Dialed, DialStage, SshDialer } from './sshDialer.js';
import type { Evidence } from './verdict.js';

export interface PeerFencePorts {
  clock: Clock;
  random: Random;
  log: Logger;
  dialer: SshDialer;
  signs: SignsOfLife;
  own: OwnHost;
}

/** The work of a peer: closing runs on a suspect over SSH. */
export interface PeerFence {
  fenceVm(command: FenceVmFromPeerCmd, context: CallContext): Promise<FenceVmFromPeerRsp>;
  fenceVms(command: FenceVmsFromPeerCmd, context: CallContext): Promise<FenceVmsFromPeerRsp>;
}

/** Kept of the call's time for the answer to travel, milliseconds. */
const ANSWER_MARGIN_MS = 300;
/** The call as a whole ends at the latest this long after `sshTimeoutSec` (F25: 2 s). */
const GIVE_UP_AFTER_MS = 1_500;
/** Longest wait for this host's own name and addresses; its disk may hang, too. */
const OWN_IDENTITY_MS = 400;
/** Shortest time that is worth an order: the program refuses less. */
const SHORTEST_ORDER_MS = 200;

export function makePeerFence(ports: PeerFencePorts): PeerFence {
  return {
    fenceVm: async (command, { signal }) => {
      const { vmUuid, fenceEpoch, disks } = command;
      const many = await fence(
        ports,
        { target: command, vms: [{ vmUuid, fenceEpoch, disks }] },
        signal,
      );
      return single(many);
    },
    fenceVms: (command, { signal }) => fence(ports, { target: command, vms: command.vms }, signal),
  };
}

interface Job {
  target: FenceTarget;
  vms: readonly FenceVm[];
}

/** One session for all VMs of a suspect, a verdict for each (F17). */
async function fence(
  ports: PeerFencePorts,
  job: Job,
  outer: AbortSignal,
): Promise<FenceVmsFromPeerRsp> {
  const { peer, addresses } = await checkTarget(ports, job.target);
  const logs = job.vms.map((vm) => logFor(ports.log, vm, { target: job.target, peer }));
  for (const log of logs) log.info('fence begun');
  const known: Known = { stages: [], evidence: noAnswer };
  const order = newOrder(ports, job);
  const orderLines = encodeOrder(order);
  try {
    // F25: whatever hangs below, the answer leaves in time
    await withLimit(
      {
        clock: ports.clock,
        ms: job.target.sshTimeoutSec * 1_000 + GIVE_UP_AFTER_MS,
        what: 'fence',
        signal: outer,
      },
      (signal) => gather(ports, { ...job, addresses, order, orderLines, known }, signal),
    );
  } catch (error) {
    for (const log of logs) log.warn('fence cut short', { error: messageOf(error) });
  }
  const rsp = answerOf(job, order, known);
  for (const [i, log] of logs.entries()) logVerdict(log, rsp.verdicts[i], rsp);
  return rsp;
}

/** F18: never this host itself, by uuid or by any address; before any connection. */
async function checkTarget(
  { clock, own }: PeerFencePorts,
  target: FenceTarget,
): Promise<{ peer: string; addresses: string[] }> {
  const limit = { clock, ms: OWN_IDENTITY_MS, what: 'own identity' };
  const [peer, ownAddresses] = await withLimit(limit, () =>
    Promise.all([own.hostUuid(), own.addresses()]),
  );
  if (peer === undefined || ownAddresses.length === 0)
    throw new DomainError('REFUSED', 'this host does not know who it is: connect it first');
  const { targetHostUuid, targetHostIp } = target;
  // safety: F18: a host that fences itself would kill healthy VMs and call them the suspect's
  if (dashed(targetHostUuid) === dashed(peer) || isOwnAddress(targetHostIp, ownAddresses))
    throw new DomainError('OWN_HOST', 'the target is this host itself', { targetHostUuid });
  const all = new Set([targetHostIp, ...target.targetAddresses]);
  // An address that every host has (a bridge of libvirt's) would show this host as the suspect.
  const addresses = [...all].filter((address) => !isOwnAddress(address, ownAddresses));
  return { peer: dashed(peer), addresses };
}

/** F31: every line about one fence carries this and the task's id, on both sides. */
function logFor(log: Logger, vm: FenceVm, who: { target: FenceTarget; peer: string }): Logger {
  const { taskId, targetHostUuid } = who.target;
  const prefix = `[HA pre-fence vm=${dashed(vm.vmUuid)} suspect=${dashed(targetHostUuid)} peer=${who.peer}]`;
  return log.child({ taskId: taskId ?? '-' }, prefix);
}

function logVerdict(
  log: Logger,
  verdict: FenceVerdict | undefined,
  rsp: FenceVmsFromPeerRsp,
): void {
  log.info('fence ended', {
    outcome: verdict?.outcome,
    detail: verdict?.detail,
    killed: verdict?.killed.length,
    stages: rsp.stages.map(({ name, ms }) => `${name}=${ms}`).join(' '),
    outputSha256: rsp.outputSha256,
  });
}

function newOrder({ random }: PeerFencePorts, { target, vms }: Job): FenceOrder {
  return {
    mode: 'fence',
    nonce: random.hex(16),
    hostUuid: target.targetHostUuid,
    deadlineMs: target.sshTimeoutSec * 1_000 - ANSWER_MARGIN_MS,
    killGraceMs: target.killGraceMs,
    vms,
  };
}

/** What is known so far; filled in as it comes, so that a cut call still tells it. */
interface Known {
  stages: DialStage[];
  evidence: Evidence;
  output?: OutputSummary;
  answerMs?: number;
}

const noAnswer: Evidence = { kind: 'noSession', failure: 'connectTimeout', signs: undefined };

interface Gathering extends Job {
  addresses: readonly string[];
  order: FenceOrder;
  orderLines: readonly string[];
  known: Known;
}

async function gather(ports: PeerFencePorts, g: Gathering, signal: AbortSignal): Promise<void> {
  const { clock } = ports;
  const until = clock.monotonicMs() + g.target.sshTimeoutSec * 1_000;
  const leftMs = until - clock.monotonicMs();
  const noSigns = new AbortController();
  const signs = askSigns({
    ...ports,
    target: g.target,
    addresses: g.addresses,
    leftMs,
    signal: AbortSignal.any([signal, noSigns.signal]),
  });
  try {
    const dialed = await ports.dialer.dial(sshTarget(g), {
      connectMs: Math.min(g.target.connectTimeoutMs, leftMs),
      totalMs: leftMs,
      maxOutputBytes: outputLimit(g.orderLines),
      signal,
    });
    g.known.stages = [...dialed.stages];
    if (dialed.ok)
      await order(ports, { ...g, dialed, leftMs: until - clock.monotonicMs() }, signal);
    else {
      const silent = dialed.failure === 'hostUnreachable' || dialed.failure === 'connectTimeout';
      g.known.evidence = { kind: 'noSession', failure: dialed.failure, signs: undefined };
      if (silent) g.known.evidence.signs = await signs;
    }
  } finally {
    noSigns.abort(new Error('the login has given its answer'));
  }
}

function sshTarget({ target, addresses }: Gathering): Parameters<SshDialer['dial']>[0] {
  return {
    addresses,
    port: target.targetHostSshPort,
    username: target.targetHostUsername,
    hostKeys: target.targetHostKeys,
    ...(target.credential === undefined
      ? {}
      : { credential: { sealed: target.credential, targetHostUuid: target.targetHostUuid } }),
  };
}

async function order(
  { clock }: PeerFencePorts,
  g: Gathering & { dialed: Extract<Dialed, { ok: true }>; leftMs: number },
  signal: AbortSignal,
): Promise<void> {
  const { session } = g.dialed;
  const begun = clock.monotonicMs();
  const deadlineMs = g.leftMs - ANSWER_MARGIN_MS;
  if (deadlineMs < SHORTEST_ORDER_MS) {
    session.close();
    g.known.evidence = { kind: 'noSession', failure: 'connectTimeout', signs: undefined };
    return;
  }
  try {
    const result = await runOrder(
      session,
      { ...g.order, deadlineMs },
      { clock, limitMs: g.leftMs, signal },
    );
    g.known.evidence = { kind: 'session', ...result };
  } finally {
    g.known.output = session.output();
    g.known.answerMs = clock.monotonicMs() - begun;
  }
}

function answerOf(job: Job, order: FenceOrder, known: Known): FenceVmsFromPeerRsp {
  const end = known.evidence.kind === 'session' ? known.evidence.answer.end : undefined;
  const inside = Object.values(end?.stages ?? {}).reduce((sum, ms) => sum + ms, 0);
  const answerMs = Math.max(0, (known.answerMs ?? 0) - inside);
  const fields = answerFields({ end, stages: known.stages, output: known.output });
  const expected = { nonce: order.nonce, hostUuid: dashed(job.target.targetHostUuid) };
  const verdicts = job.vms.map((vm) => verdictFor(vm, known.evidence, expected));
  const rsp = Object.assign(new FenceVmsFromPeerRsp(), { success: true, ...fields, verdicts });
  if (known.answerMs !== undefined) rsp.stages.push({ name: 'answer', ms: Math.round(answerMs) });
  // One failure of this side is a failure for all: there was one session.
  if (verdicts.every(({ outcome }) => outcome === 'localError')) {
    rsp.success = false;
    rsp.error = { code: 'INTERNAL', message: verdicts[0]?.detail ?? 'no verdict' };
  }
  return rsp;
}

/** The answer for one VM. @throws DomainError STALE_EPOCH (409): the task is out of date (F14). */
function single(many: FenceVmsFromPeerRsp): FenceVmFromPeerRsp {
  const { verdicts, ...rest } = many;
  const [verdict] = verdicts;
  if (verdict?.outcome === 'staleEpoch')
    throw new DomainError('STALE_EPOCH', verdict.detail ?? 'stale', { vmUuid: verdict.vmUuid });
  return Object.assign(new FenceVmFromPeerRsp(), rest, verdict);
}
