import {
  BUNDLE_FORMAT,
  BUNDLE_VERSION,
  CHAIN_START,
  sealBundle,
  type BundleProof,
  type BundleRun,
  type BundleStart,
  type ProofBundle,
  type StandsOn,
} from '@fenceline/common';
import type { ProofsTable } from '../../store/schema.js';
import { fromJson, type Queryable } from '../../store/store.js';
import { chainFrom, linkOf } from '../../vms/runs/chain.js';
import { showTask } from './tasks.js';

/**
 * Bounds on one bundle, as everybody may ask for one: runs beyond them are counted and left out, the
 * oldest first, and the chain ends before its newest proof.
 */
const MAX_RUNS = 1_000;
const MAX_LINKS = 5_000;
/** Of what is left out, so many are shown by digest; with more, a bundle does not verify. */
const MAX_LEFT_OUT = 10_000;

export interface BundleAsk {
  taskUuid: string;
  /** ISO time of day. */
  exportedAt: string;
  databaseIncarnation: string;
}

/**
 * Everything that shows why a task was allowed to start its VM: the runs before that start, the
 * proofs that closed them, and the chain with all of these and the start.
 * @param on one transaction, or the parts would be of different moments.
 * @throws DomainError NOT_FOUND
 */
export async function proofBundle(on: Queryable, ask: BundleAsk): Promise<ProofBundle> {
  const { taskUuid, exportedAt, databaseIncarnation } = ask;
  const task = await showTask(on, taskUuid);
  const granted = await runRows(on, task.vmUuid).where('taskUuid', '=', taskUuid).execute();
  const started = granted[0];
  let before = runRows(on, task.vmUuid);
  if (started !== undefined) before = before.where('epoch', '<', started.epoch);
  const all = await before.execute();
  const start = started === undefined ? null : await startOf(on, task.vmUuid, started);
  const { runs, proofs, leftOut } = await withinBounds(on, all, start?.sequence);
  const first = proofs[0]?.sequence ?? start?.sequence;
  const links = first === undefined ? [] : (await chainFrom(on, first, MAX_LINKS)).map(linkOf);
  const last = links.at(-1) ?? { sequence: 0, digest: CHAIN_START };
  const { uuid, vmUuid, vmName, reason, judger, state, attempt, createdAt, endedAt } = task;
  return sealBundle({
    format: BUNDLE_FORMAT,
    version: BUNDLE_VERSION,
    exportedAt,
    databaseIncarnation,
    task: { uuid, vmUuid, vmName, reason, judger, state, attempt, createdAt, endedAt },
    start,
    runs: runs.toReversed(),
    leftOut,
    proofs,
    links,
    head: { sequence: last.sequence, digest: last.digest },
  });
}

/** Newest first. */
function runRows(on: Queryable, vmUuid: string) {
  return on
    .selectFrom('runs')
    .select(['epoch', 'hostUuid', 'bootId', 'state', 'openedAt', 'closedAt', 'proofUuid'])
    .where('vmUuid', '=', vmUuid)
    .orderBy('epoch', 'desc');
}

/** A granted run as the chain holds it. */
async function startOf(
  on: Queryable,
  vmUuid: string,
  { epoch, hostUuid, bootId, openedAt }: BundleRun,
): Promise<BundleStart> {
  const place = await on
    .selectFrom('starts')
    .select(['sequence', 'previousDigest', 'digest'])
    .where('vmUuid', '=', vmUuid)
    .where('epoch', '=', epoch)
    .executeTakeFirst();
  // One that is not in the chain does not verify, and that is what is to be seen.
  const nowhere = { sequence: 0, previousDigest: CHAIN_START, digest: CHAIN_START };
  return { epoch, hostUuid, bootId, openedAt, ...(place ?? nowhere) };
}

async function withinBounds(
  on: Queryable,
  all: readonly BundleRun[],
  startAt: number | undefined,
): Promise<{ runs: BundleRun[]; proofs: BundleProof[]; leftOut: StandsOn[] }> {
  const found: { run: BundleRun; proof: BundleProof | undefined }[] = [];
  for (const run of all.slice(0, MAX_RUNS))
    found.push({
      run,
      proof: run.proofUuid === null ? undefined : await proofOf(on, run.proofUuid),
    });
  const newest = startAt ?? Math.max(...found.map(({ proof }) => proof?.sequence ?? 0));
  const far = found.findIndex(({ proof }) => newest - (proof?.sequence ?? newest) >= MAX_LINKS);
  // The oldest ones: none that is newer than one that is left out.
  const kept = far === -1 ? found : found.slice(0, far);
  return {
    runs: kept.map(({ run }) => run),
    proofs: kept.flatMap(({ proof }) => proof ?? []).toSorted((a, b) => a.sequence - b.sequence),
    leftOut: await closedBy(on, all.slice(kept.length, kept.length + MAX_LEFT_OUT)),
  };
}

/** By digest alone. */
async function closedBy(on: Queryable, runs: readonly BundleRun[]): Promise<StandsOn[]> {
  const digests: StandsOn[] = [];
  for (const { epoch, proofUuid } of runs) {
    const query = on.selectFrom('proofs').select('digest').where('uuid', '=', proofUuid);
    const row = proofUuid === null ? undefined : await query.executeTakeFirst();
    digests.push({ epoch, proofDigest: row?.digest ?? CHAIN_START });
  }
  return digests;
}

async function proofOf(on: Queryable, uuid: string): Promise<BundleProof | undefined> {
  const query = on.selectFrom('proofs').selectAll().where('uuid', '=', uuid);
  const row = await query.executeTakeFirst();
  return row === undefined ? undefined : bundleProof(row);
}

function bundleProof({ factsJson, ...row }: ProofsTable): BundleProof {
  return { ...row, facts: fromJson<Record<string, unknown>>(factsJson) };
}
