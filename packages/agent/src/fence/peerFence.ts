import {
  messageOf,
  Secret,
  withLimit,
  type CallContext,
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
import { answerFields, verdictFor } from './answers.js';
import {
  ANSWER_MARGIN_MS,
  firstToSay,
  noAnswerTo,
  overLine,
  overLogin,
  type Attempt,
  type AttemptJob,
  type AttemptPorts,
  type Try,
} from './attempts.js';
import { CallTokens } from './callTokens.js';
import type { FenceLines } from './lines/fenceLines.js';
import { encodeBareOrder, type FenceOrder } from './order.js';
import type { Expected } from './verdict.js';
import { isOwnAddress, type OwnHost } from './ownHost.js';

export interface PeerFencePorts extends AttemptPorts {
  random: Random;
  log: Logger;
  lines: Pick<FenceLines, 'linesTo'>;
  own: OwnHost;
}

/** The work of a peer: closing runs on a suspect, over standing lines or by a login. */
export interface PeerFence {
  fenceVm(command: FenceVmFromPeerCmd, context: CallContext): Promise<FenceVmFromPeerRsp>;
  fenceVms(command: FenceVmsFromPeerCmd, context: CallContext): Promise<FenceVmsFromPeerRsp>;
}

/** The call as a whole ends at the latest this long after `sshTimeoutSec` (F25: 2 s). */
const GIVE_UP_AFTER_MS = 1_500;
/** Longest wait for this host's own name and addresses; its disk may hang, too. */
const OWN_IDENTITY_MS = 400;

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
  const what = job.target.lookOnly === true ? 'look' : 'fence';
  for (const log of logs) log.info(`${what} begun`);
  // What can't be an order is refused before anything is tried.
  const blank = newOrder(ports, job);
  encodeBareOrder(blank);
  let known = noAnswerTo(blank, 'login');
  const tokens = tokensOf(job.target);
  try {
    // F25: whatever hangs below, the answer leaves in time
    known = await withLimit(
      {
        clock: ports.clock,
        ms: job.target.sshTimeoutSec * 1_000 + GIVE_UP_AFTER_MS,
        what: 'fence',
        signal: outer,
      },
      (signal) => gather(ports, { ...job, addresses, tokens }, signal),
    );
  } catch (error) {
    for (const log of logs) log.warn('fence cut short', { error: messageOf(error) });
  }
  const rsp = answerOf(job, known);
  rsp.unusedOrderTokens = tokens.seal();
  for (const [i, log] of logs.entries())
    logVerdict(log.child({ way: known.way }), rsp.verdicts[i], rsp);
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

function tokensOf({ orderToken, spareOrderTokens, lookOnly }: FenceTarget): CallTokens {
  if (orderToken === undefined || lookOnly === true) return new CallTokens(undefined);
  return new CallTokens([orderToken, ...spareOrderTokens].map((token) => new Secret(token)));
}

function newOrder({ random }: PeerFencePorts, { target, vms }: Job): FenceOrder {
  return {
    mode: target.lookOnly === true ? 'count' : 'fence',
    nonce: random.hex(16),
    hostUuid: target.targetHostUuid,
    deadlineMs: target.sshTimeoutSec * 1_000 - ANSWER_MARGIN_MS,
    killGraceMs: target.killGraceMs,
    vms,
  };
}

/**
 * An order over each way until one has its answer: the lines that stand, the best first, then a
 * login. Each order has a nonce and a token of its own. Orders to one suspect may overlap: they kill
 * nothing newer than their epochs, and say the same.
 */
async function gather(
  ports: PeerFencePorts,
  job: Job & Pick<AttemptJob, 'addresses' | 'tokens'>,
  signal: AbortSignal,
): Promise<Attempt> {
  const { clock } = ports;
  const { target, tokens } = job;
  const begunMs = clock.monotonicMs();
  const untilMs = begunMs + target.sshTimeoutSec * 1_000;
  const anOrder = (): AttemptJob => ({ ...job, order: newOrder(ports, job), begunMs, untilMs });
  const lines = ports.lines.linesTo(target.targetHostUuid);
  const login: Try = async (signal) => {
    const waitedMs = clock.monotonicMs() - begunMs;
    const attempt = await overLogin(ports, { job: anOrder(), signal });
    if (lines.length === 0) return attempt;
    return { ...attempt, stages: [{ name: 'line', ms: waitedMs }, ...attempt.stages] };
  };
  const overLines = lines.map(
    (line): Try =>
      (signal, heard) =>
        overLine(ports, line, { job: anOrder(), signal, heard }),
  );
  const { targetHostUuid: hostUuid, killGraceMs } = target;
  let attempt = await firstToSay({ clock, hostUuid, killGraceMs }, [...overLines, login], signal);
  // Of a deposit whose answer was lost the host may hold another one of them.
  while (isRefusedToken(attempt) && tokens.haveSpare)
    attempt = await overLogin(ports, { job: anOrder(), signal });
  return attempt;
}

function isRefusedToken({ evidence }: Attempt): boolean {
  return evidence.kind === 'session' && evidence.answer.refused === 'bad-order-token';
}

function answerOf(job: Job, known: Attempt): FenceVmsFromPeerRsp {
  const end = known.evidence.kind === 'session' ? known.evidence.answer.end : undefined;
  const inside = Object.values(end?.stages ?? {}).reduce((sum, ms) => sum + ms, 0);
  const answerMs = Math.max(0, (known.answerMs ?? 0) - inside);
  const fields = answerFields({ end, stages: known.stages, output: known.output });
  const expected: Expected = {
    nonce: known.nonce,
    hostUuid: dashed(job.target.targetHostUuid),
    mode: job.target.lookOnly === true ? 'count' : 'fence',
  };
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
