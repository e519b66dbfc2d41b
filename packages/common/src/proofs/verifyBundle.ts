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
import {
  bodyDigestOf,
  linkDigestOf,
  standsOnDigest,
  startDigestOf,
  type StandsOn,
} from './chain.js';
import { rejudgeProblem } from './rejudgeRules.js';

export interface Verified {
  /** Each thing that is wrong, as a sentence; empty: the bundle permits the start. */
  problems: readonly string[];
  /** The bundle, if it could be read at all. */
  bundle?: ProofBundle;
}

/**
 * Checks a bundle from nothing but itself: every digest, the chain, each proof's own evidence by
 * the rules that make proofs, that the start stands in the chain on exactly these runs and proofs,
 * and that they permit it. Without an anchor all of it may have been made anew; of runs that were
 * left out only the digests are shown.
 * @param bundle JSON as it was read; nothing of it is trusted.
 * @param anchor a digest of the chain that somebody noted at another place, when the start was
 *   granted or later; must be part of it.
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
  const { format, version, task, runs, leftOut, proofs, links, digests } =
    bundle as Partial<ProofBundle>;
  if (format !== BUNDLE_FORMAT) return `format: this is no ${BUNDLE_FORMAT}`;
  if (version !== BUNDLE_VERSION) return `version: must be ${BUNDLE_VERSION}`;
  const whole =
    [runs, leftOut, proofs, links].every((part) => Array.isArray(part)) &&
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

function chainProblems(bundle: ProofBundle, anchor?: string): string[] {
  const { links, proofs, start, head } = bundle;
  const problems: string[] = [];
  const places = start === null ? proofs : [...proofs, start];
  const first = places.find(({ sequence }) => sequence === links[0]?.sequence);
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
  return [
    ...problems,
    ...startPlaceProblems(bundle, first?.previousDigest),
    ...anchorProblems(bundle, anchor),
  ];
}

/** The start is what stands at its place: with exactly these earlier runs, and no other. */
function startPlaceProblems({ task, start, links, ...rest }: ProofBundle, before = ''): string[] {
  if (start === null) return [];
  const at = links.findIndex(({ sequence }) => sequence === start.sequence);
  const link = links[at];
  if (link === undefined) return ['start: is not part of the chain'];
  const standsOn = standsOnDigest(standsOnOf(rest));
  const { uuid: taskUuid, vmUuid } = task;
  const previous = links[at - 1]?.digest ?? before;
  return [
    ...(startDigestOf({ ...start, taskUuid, vmUuid, standsOn }) === link.bodyDigest
      ? []
      : ['start: is not the one of the chain, or it stood on other runs and proofs than these']),
    ...(start.digest === link.digest ? [] : ['start: digest: is not that of the chain']),
    ...(start.previousDigest === previous
      ? []
      : ['start: previousDigest: is not that of the chain']),
  ];
}

/** What this bundle says that closed the earlier runs. */
function standsOnOf({
  runs,
  proofs,
  leftOut,
}: Pick<ProofBundle, 'runs' | 'proofs' | 'leftOut'>): StandsOn[] {
  const digests = new Map(proofs.map(({ uuid, digest }) => [uuid, digest]));
  const shown = runs.map(({ epoch, proofUuid }) => ({
    epoch,
    proofDigest: digests.get(proofUuid ?? '') ?? '',
  }));
  return [...leftOut, ...shown];
}

/** safety: what stands after an anchor may have been made anew by whoever has the file. */
function anchorProblems({ links, start }: ProofBundle, anchor?: string): string[] {
  if (anchor === undefined) return [];
  const at = links.find(({ digest }) => digest === anchor.toLowerCase());
  if (at === undefined) return [`the chain does not pass through the anchor ${anchor}`];
  if (start === null || at.sequence >= start.sequence) return [];
  return [
    `the anchor ${anchor} is older than the start: it shows nothing of what came after place ` +
      `${at.sequence}; a digest is needed that was noted at the start or later`,
  ];
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
  const { start, runs, proofs, links, leftOut } = bundle;
  const problems = runs.flatMap((run) => runProblems(run, bundle));
  const closing = new Set(runs.map(({ proofUuid }) => proofUuid));
  for (const { sequence, uuid } of proofs) {
    if (!closing.has(uuid)) problems.push(`proof ${sequence}: closes no run of this bundle`);
    if (!links.some((link) => link.sequence === sequence))
      problems.push(`proof ${sequence}: is not part of the chain`);
  }
  const epochs = [...leftOut, ...runs].map(({ epoch }) => epoch);
  const seen = new Set<number>();
  for (const epoch of epochs) {
    if (seen.has(epoch)) problems.push(`run ${epoch}: stands here twice`);
    seen.add(epoch);
  }
  if (leftOut.some((run) => runs.some(({ epoch }) => !(run.epoch < epoch))))
    problems.push('leftOut: only the oldest runs can be left out');
  if (runs.length === 0 && leftOut.length > 0)
    problems.push('leftOut: no run is shown, so nothing of what the start stood on is');
  if (start === null) problems.push('start: the task was granted no start, so nothing permits one');
  else if (epochs.some((epoch) => !(epoch < start.epoch)))
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
  if (!(proof.sequence < start.sequence))
    problems.push(`proof ${proof.sequence}: stands after the start in the chain`);
  if (proof.createdAt > start.openedAt)
    problems.push(`proof ${proof.sequence}: createdAt: it was made after the start was granted`);
  if (proof.expiresAt !== null && proof.expiresAt <= start.openedAt)
    problems.push(`proof ${proof.sequence}: expiresAt: it had expired when the start was granted`);
  return problems;
}
