import {
  BUNDLE_FORMAT,
  BUNDLE_VERSION,
  bodyDigestOf,
  CHAIN_START,
  sealBundle,
  type BundleProof,
  type BundleRun,
  type ChainLink,
  type ProofBundle,
} from '@fenceline/common';
import type { ProofsTable } from '../../store/schema.js';
import { fromJson, type Queryable } from '../../store/store.js';
import { showTask } from './tasks.js';

/**
 * Bounds on one bundle, as everybody may ask for one: runs beyond them are counted and left out, the
 * oldest first, and the chain ends before its newest proof.
 */
const MAX_RUNS = 1_000;
const MAX_LINKS = 5_000;

export interface BundleAsk {
  taskUuid: string;
  /** ISO time of day. */
  exportedAt: string;
  databaseIncarnation: string;
}

/**
 * Everything that shows why a task was allowed to start its VM: the runs before that start, the
 * proofs that closed them, and the chain from the first of these on.
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
  const { runs, proofs } = await withinBounds(on, all);
  const links = await linksFrom(on, proofs[0]?.sequence);
  const last = links.at(-1) ?? { sequence: 0, digest: CHAIN_START };
  const { uuid, vmUuid, vmName, reason, judger, state, attempt, createdAt, endedAt } = task;
  return sealBundle({
    format: BUNDLE_FORMAT,
    version: BUNDLE_VERSION,
    exportedAt,
    databaseIncarnation,
    task: { uuid, vmUuid, vmName, reason, judger, state, attempt, createdAt, endedAt },
    start:
      started === undefined
        ? null
        : {
            epoch: started.epoch,
            hostUuid: started.hostUuid,
            bootId: started.bootId,
            openedAt: started.openedAt,
          },
    runs: runs.toReversed(),
    runsLeftOut: all.length - runs.length,
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

async function withinBounds(
  on: Queryable,
  all: readonly BundleRun[],
): Promise<{ runs: BundleRun[]; proofs: BundleProof[] }> {
  const found: { run: BundleRun; proof: BundleProof | undefined }[] = [];
  for (const run of all.slice(0, MAX_RUNS))
    found.push({
      run,
      proof: run.proofUuid === null ? undefined : await proofOf(on, run.proofUuid),
    });
  const newest = Math.max(...found.map(({ proof }) => proof?.sequence ?? 0));
  const kept = found.filter(({ proof }) => newest - (proof?.sequence ?? newest) < MAX_LINKS);
  return {
    runs: kept.map(({ run }) => run),
    proofs: kept.flatMap(({ proof }) => proof ?? []).toSorted((a, b) => a.sequence - b.sequence),
  };
}

async function proofOf(on: Queryable, uuid: string): Promise<BundleProof | undefined> {
  const query = on.selectFrom('proofs').selectAll().where('uuid', '=', uuid);
  const row = await query.executeTakeFirst();
  return row === undefined ? undefined : bundleProof(row);
}

function bundleProof({ factsJson, ...row }: ProofsTable): BundleProof {
  return { ...row, facts: fromJson<Record<string, unknown>>(factsJson) };
}

/** Of the proofs in between only what is needed to follow the chain: they may be of other VMs. */
async function linksFrom(on: Queryable, first: number | undefined): Promise<readonly ChainLink[]> {
  if (first === undefined) return [];
  const rows = await on
    .selectFrom('proofs')
    .selectAll()
    .where('sequence', '>=', first)
    .orderBy('sequence')
    .limit(MAX_LINKS)
    .execute();
  return rows.map((row) => ({
    sequence: row.sequence,
    bodyDigest: bodyDigestOf(bundleProof(row)),
    digest: row.digest,
  }));
}
