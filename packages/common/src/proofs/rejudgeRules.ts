import type { ProofBody } from './chain.js';
import { judgeBoot, type BootFacts } from './bootRules.js';
import { judgeAgent, judgePeer, type AgentLookFacts, type LookFacts } from './lookRules.js';
import { judgeOperator, type OperatorFacts } from './operatorRules.js';
import { judgePower, type PowerFacts } from './powerRules.js';
import { judgeUnreachable, type UnreachableFacts } from './unreachableRules.js';
import type { Ruling } from './lookRules.js';

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === 'string';
const flag: Check = (value) => typeof value === 'boolean';
const number: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const anything: Check = () => true;
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const shape =
  (fields: Record<string, Check>): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(fields).every(([key, check]) => check((value as Record<string, unknown>)[key]));

const verdict = shape({
  success: anything,
  qemuConfirmedDead: anything,
  qemuStillAlive: anything,
  targetHostUnreachable: anything,
});

const look = {
  outcome: text,
  verdict,
  killed: listOf(anything),
  hostUuid: orNull(text),
  bootId: orNull(text),
  pidNamespace: orNull(text),
  barrier: orNull(text),
  disks: listOf(shape({ source: text, drained: text })),
  asked: shape({ pidNamespace: orNull(text), disks: listOf(text) }),
};

const peerFacts = shape(look);
const agentFacts = shape({ ...look, highestBegan: orNull(number), beganKnown: flag, stop: flag });
const bootFacts = shape({ hostUuid: orNull(text), bootId: orNull(text) });
const powerFacts = shape({
  level: number,
  devices: listOf(
    shape({
      agent: text,
      verifiedAt: orNull(text),
      offAcknowledged: flag,
      offSentAfterMs: number,
      firstOffAfterMs: orNull(number),
      readBack: text,
      readBackAfterMs: number,
    }),
  ),
  lastSignOfLifeAfterMs: orNull(number),
});
const operatorFacts = shape({
  reason: text,
  typedName: text,
  hostName: text,
  silentForMs: number,
  requiredSilenceMs: number,
});
const unreachableFacts = shape({
  policy: (value) => value === 'corroborated' || value === 'single',
  minSiblings: number,
  eligibleSiblings: number,
  siblings: listOf(shape({ hostUuid: text, outcome: text, verdict })),
  signOfLife: flag,
  records: listOf(
    shape({
      storage: text,
      holdsDisk: flag,
      bootId: text,
      sequence: number,
      selfFencerArmed: flag,
      watchdogArmed: flag,
      kills: listOf(shape({ vmUuid: text, epoch: number })),
      deadlineMs: number,
      unchangedForMs: number,
      control: orNull(shape({ hostUuid: text, advanced: flag })),
    }),
  ),
});

/**
 * Judges a stored proof anew from its own raw evidence, by the very rules that made it: a record
 * whose digests fit but whose evidence proves something else, or nothing, is found out.
 * @returns why the record does not prove what it claims, or undefined if it does.
 */
export function rejudgeProblem(proof: ProofBody): string | undefined {
  const ruling = rejudge(proof);
  if ('refused' in ruling) return ruling.refused;
  if (ruling.kind !== proof.kind) return `its evidence proves ${ruling.kind}, not ${proof.kind}`;
  return undefined;
}

const UNREADABLE = { refused: 'its facts are not those of such a proof' };

/** Who may say what: the words before the colon of a proof's source. */
function rejudge(proof: ProofBody): Ruling {
  const { facts, source, hostUuid } = proof;
  const [by = '', id = ''] = source.split(/:(.*)/s);
  switch (by) {
    case 'peer':
      // safety: a suspect never vouches for its own death by SSH.
      if (id === hostUuid) return { refused: 'the suspect itself was the peer' };
      return peerFacts(facts) ? judgePeer(proof, facts as unknown as LookFacts) : UNREADABLE;
    case 'agent':
      if (id !== hostUuid) return { refused: `agent ${id} is not that of host ${hostUuid}` };
      return agentFacts(facts) ? judgeAgent(proof, facts as unknown as AgentLookFacts) : UNREADABLE;
    case 'boot':
      if (id !== hostUuid) return { refused: `host ${id} is not host ${hostUuid}` };
      return bootFacts(facts) ? judgeBoot(proof, facts as unknown as BootFacts) : UNREADABLE;
    case 'power':
      return powerFacts(facts) ? judgePower(facts as unknown as PowerFacts) : UNREADABLE;
    case 'operator':
      if (proof.expiresAt === null)
        return { refused: "a person's word expires, this one does not" };
      return operatorFacts(facts) ? judgeOperator(facts as unknown as OperatorFacts) : UNREADABLE;
    case 'unreachable':
      return unreachableFacts(facts)
        ? judgeUnreachable(proof, facts as unknown as UnreachableFacts)
        : UNREADABLE;
    default:
      return { refused: `nobody called ${by} can prove anything` };
  }
}
