import { messageOf } from '../failure.js';
import {
  BUNDLE_FORMAT,
  BUNDLE_VERSION,
  digestsOf,
  type BundleDigests,
  type BundleProof,
  type BundleRun,
  type ProofBundle,
} from './bundle.js';
import { bodyDigestOf, linkDigestOf } from './chain.js';
import { rejudgeProblem } from './rejudgeRules.js';

export interface Verified {
  /** Each thing that is wrong, as a sentence; empty: the bundle permits the start. */
  problems: readonly string[];
  /** The bundle, if it could be read at all. */
  bundle?: ProofBundle;
}

/**
 * Checks a bundle from nothing but itself: every digest, the chain, each proof's own evidence by
 * the rules that make proofs, and that together they permit the start that it tells of.
 * @param bundle JSON as it was read; nothing of it is trusted.
 * @param anchor a digest of the chain that somebody noted at another place; must be part of it.
 */
export function verifyBundle(bundle: unknown, anchor?: string): Verified {
  try {
    const form = formProblem(bundle);
    if (form !== undefined) return { problems: [form] };
    const read = bundle as ProofBundle;
    const problems = [
      ...digestProblems(read),
      ...chainProblems(read, anchor),
      ...read.proofs.flatMap(proofProblems),
      ...startProblems(read),
    ];
    return { problems, bundle: read };
  } catch (thrown) {
    // A field of another type than it must have, or nesting without end.
    return { problems: [`the bundle can't be read: ${messageOf(thrown)}`] };
  }
}

function formProblem(bundle: unknown): string | undefined {
  if (typeof bundle !== 'object' || bundle === null) return 'this is no proof bundle';
  const { format, version, task, runs, proofs, links, digests } = bundle as Partial<ProofBundle>;
  if (format !== BUNDLE_FORMAT) return `format: this is no ${BUNDLE_FORMAT}`;
  if (version !== BUNDLE_VERSION) return `version: must be ${BUNDLE_VERSION}`;
  const whole =
    [runs, proofs, links].every((part) => Array.isArray(part)) &&
    [task, digests].every((part) => typeof part === 'object' && part !== null);
  return whole ? undefined : 'a part of the bundle is missing';
}

const PARTS = ['about', 'task', 'start', 'runs', 'proofs', 'links'] as const;

function digestProblems(bundle: ProofBundle): string[] {
  const digests = digestsOf(bundle);
  const known: readonly string[] = PARTS;
  const strange = Object.keys(bundle.digests).filter((part) => !known.includes(part));
  return [
    ...strange.map((part) => `digests.${part}: there is no such part`),
    ...PARTS.filter((part: keyof BundleDigests) => digests[part] !== bundle.digests[part]).map(
      (part) => `digests.${part}: the part "${part}" is not the one that was exported`,
    ),
  ];
}

function chainProblems({ links, proofs, head }: ProofBundle, anchor?: string): string[] {
  const problems: string[] = [];
  const first = proofs.find(({ sequence }) => sequence === links[0]?.sequence);
  if (links.length > 0 && first === undefined)
    problems.push('links: the chain does not begin with a proof of this bundle');
  let previous = first?.previousDigest ?? '';
  for (const [i, link] of links.entries()) {
    const { sequence, bodyDigest, digest } = link;
    if (sequence !== (links[0]?.sequence ?? 0) + i)
      problems.push(`link ${sequence}: a gap before it`);
    if (linkDigestOf(sequence, previous, bodyDigest) !== digest)
      problems.push(`link ${sequence}: digest: does not follow from what is before it`);
    problems.push(...placeProblems(link, previous, proofs));
    previous = digest;
  }
  const last = links.at(-1);
  if (last !== undefined && (head.sequence !== last.sequence || head.digest !== last.digest))
    problems.push('head: is not the last link of the chain');
  if (anchor !== undefined && !links.some(({ digest }) => digest === anchor.toLowerCase()))
    problems.push(`the chain does not pass through the anchor ${anchor}`);
  return problems;
}

/** The proof at a link's place is the one that the link was made of. */
function placeProblems(
  link: ProofBundle['links'][number],
  previous: string,
  proofs: readonly BundleProof[],
): string[] {
  return proofs
    .filter(({ sequence }) => sequence === link.sequence)
    .flatMap((proof) => {
      const name = `proof ${proof.sequence}`;
      return [
        ...(bodyDigestOf(proof) === link.bodyDigest
          ? []
          : [`${name}: its record is not the one that was stored`]),
        ...(proof.digest === link.digest ? [] : [`${name}: digest: is not that of the chain`]),
        ...(proof.previousDigest === previous
          ? []
          : [`${name}: previousDigest: is not that of the chain`]),
      ];
    });
}

/** Does its own evidence prove what it claims? */
function proofProblems(proof: BundleProof): string[] {
  const problem = rejudgeProblem(proof);
  return problem === undefined ? [] : [`proof ${proof.sequence} (${proof.kind}): ${problem}`];
}

/** Was the start allowed by these proofs, each of them in force when it was granted? */
function startProblems(bundle: ProofBundle): string[] {
  const { start, runs, proofs, links, runsLeftOut } = bundle;
  const problems = runs.flatMap((run) => runProblems(run, bundle));
  const closing = new Set(runs.map(({ proofUuid }) => proofUuid));
  for (const { sequence, uuid } of proofs) {
    if (!closing.has(uuid)) problems.push(`proof ${sequence}: closes no run of this bundle`);
    if (!links.some((link) => link.sequence === sequence))
      problems.push(`proof ${sequence}: is not part of the chain`);
  }
  for (const run of runs)
    if (runs.filter(({ epoch }) => epoch === run.epoch).length > 1)
      problems.push(`run ${run.epoch}: stands here twice`);
  if (!(Number.isInteger(runsLeftOut) && runsLeftOut >= 0))
    problems.push('runsLeftOut: must be a count');
  if (start === null) problems.push('start: the task was granted no start, so nothing permits one');
  else if (runs.some(({ epoch }) => !(epoch < start.epoch)))
    problems.push('start: its epoch is not above that of every other run');
  return problems;
}

function runProblems(run: BundleRun, { task, start, proofs }: ProofBundle): string[] {
  const name = `run ${run.epoch}`;
  if (run.state !== 'closed' || run.proofUuid === null)
    return [`${name}: on host ${run.hostUuid} is not proven over (${run.state})`];
  const found = proofs.filter(({ uuid }) => uuid === run.proofUuid);
  const proof = found[0];
  if (proof === undefined || found.length > 1) return [`${name}: its proof is not in the bundle`];
  const problems = (['epoch', 'hostUuid', 'bootId'] as const)
    .filter((field) => proof[field] !== run[field])
    .map((field) => `${name}: ${field}: its proof ${proof.sequence} is about another one`);
  if (proof.vmUuid !== task.vmUuid)
    problems.push(`${name}: vmUuid: its proof ${proof.sequence} is about another VM`);
  if (proof.voidedReason !== null)
    problems.push(`proof ${proof.sequence}: is void: ${proof.voidedReason}`);
  if (start === null) return problems;
  if (proof.createdAt > start.openedAt)
    problems.push(`proof ${proof.sequence}: createdAt: it was made after the start was granted`);
  if (proof.expiresAt !== null && proof.expiresAt <= start.openedAt)
    problems.push(`proof ${proof.sequence}: expiresAt: it had expired when the start was granted`);
  return problems;
}
