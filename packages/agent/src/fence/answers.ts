import {
  dashed,
  FenceVerdict,
  type FenceAnswer,
  type FenceOutcome,
  type FenceStage,
  type FenceVm,
} from '@fenceline/protocol';
import { threeAnswers } from './outcome.js';
import type { EndLine } from './programAnswer.js';
import type { OutputSummary } from './programSession.js';
import { judgeVm, toClose, type Evidence, type Expected } from './verdict.js';

/** What each outcome means, for people; constant sentences, never remote output (F28). */
const SENTENCES: Record<FenceOutcome, string> = {
  confirmedDead: 'its qemu was killed and is proven gone',
  nothingFound: 'no qemu of it was there, and none can start behind the barrier',
  stillAlive: 'its qemu could not be ended in time',
  otherWriter: 'another process has one of its disks open for writing',
  notDrained: 'its qemu is gone, but not every write of it is proven to have ended',
  unattributed: 'a qemu or a start there could not be told to belong to another VM',
  unreachable: 'no sign of life on any address, while a sibling on the same net answered',
  refusedConnection: 'the suspect or something before it refused the connection',
  noBanner: 'the suspect accepted the connection, but its sshd said nothing',
  kexFailed: 'the SSH key exchange did not end',
  authFailed: 'the suspect did not accept this host as a sibling',
  hostKeyMismatch: 'the machine at that address is not the suspect: its host key is not pinned',
  channelClosed: 'the session closed before the answer was complete',
  signalled: 'the fence program was ended by a signal',
  noNonce: 'the answer did not end with the line that proves it',
  wrongHost: 'another host answered at the address of the suspect',
  controlFailed: 'the fence program could not look, or not set its barrier',
  deadline: 'the time was over before there was an answer',
  staleEpoch: 'a newer run of it lives there; the order is out of date',
  badOrderToken: 'the suspect refused the order token',
  localError: 'this host could not do its part',
};

const URING = 'a disk of it is written to through io_uring, which outlives its process';

/** One plain sentence for an outcome. */
export function sentenceOf(outcome: FenceOutcome): string {
  return SENTENCES[outcome];
}

/** The verdict for one VM as it goes to the server. */
export function verdictFor(vm: FenceVm, evidence: Evidence, expected: Expected): FenceVerdict {
  const outcome = judgeVm(vm, evidence, expected);
  const about =
    evidence.kind === 'session' ? evidence.answer.vms.get(dashed(vm.vmUuid)) : undefined;
  return Object.assign(new FenceVerdict(), {
    vmUuid: dashed(vm.vmUuid),
    ...threeAnswers(outcome),
    outcome,
    ...(about?.barrier === undefined ? {} : { barrier: about.barrier }),
    killed: about === undefined ? [] : toClose(vm, about),
    disks: about?.disks ?? [],
    otherWriters: about?.writers ?? [],
    detail: [
      sentenceOf(outcome),
      ...(outcome === 'notDrained' && about?.usesUring ? [URING] : []),
      ...signsSeen(evidence),
    ]
      .join(': ')
      .slice(0, 512),
  });
}

/** What was seen of a suspect that could not be logged in to; our own words and addresses only. */
function signsSeen(evidence: Evidence): string[] {
  if (evidence.kind !== 'noSession' || evidence.signs === undefined) return [];
  const { signs } = evidence;
  if (signs.kind === 'alive') return [signs.signs.join(', ')];
  return signs.kind === 'ambiguous' ? [signs.why] : [];
}

/** A verdict that says nothing, because this host failed before it could know anything. */
export function localErrorVerdict(vm: FenceVm): FenceVerdict {
  const evidence: Evidence = { kind: 'noSession', failure: 'localError', signs: undefined };
  return verdictFor(vm, evidence, { nonce: '', hostUuid: '' });
}

/** Who answered and how long each stage took: the part that all verdicts of a call share. */
export function answerFields(parts: {
  end: EndLine | undefined;
  stages: readonly { name: FenceStage; ms: number }[];
  output: OutputSummary | undefined;
}): Omit<FenceAnswer, 'success' | 'error'> {
  const { end, output } = parts;
  const own = Object.entries(end?.stages ?? {}) as [FenceStage, number][];
  return {
    ...(end !== undefined && /^[0-9a-f-]{36}$/.test(end.host) ? { hostUuid: end.host } : {}),
    ...(end === undefined ? {} : { bootId: end.boot, pidNamespace: end.pidNamespace }),
    stages: [...parts.stages, ...own.map(([name, ms]) => ({ name, ms }))].map((stage) => ({
      name: stage.name,
      ms: Math.max(0, Math.round(stage.ms)),
    })),
    stdoutBytes: output?.stdoutBytes ?? 0,
    stderrBytes: output?.stderrBytes ?? 0,
    outputSha256: output?.sha256 ?? '',
  };
}

/** Bound on remote output: 64 KiB, and room for the echo of what was asked (F25). */
export function outputLimit(orderLines: readonly string[]): number {
  const asked = orderLines.reduce((sum, line) => sum + line.length, 0);
  return 65_536 + 2 * asked + 512 * orderLines.length;
}
