import {
  canonicalJson,
  isoNow,
  proofDigest,
  type Clock,
  type MonotonicMs,
  type Random,
} from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { FenceProof } from '../../fencing/proof.js';
import type { ProofsTable } from '../../store/schema.js';
import type { Queryable, Store } from '../../store/store.js';
import { nextPlace } from './chain.js';
import { isWeak, proofProblem, type StoredProof } from './grantRule.js';
import { runName } from './run.js';

/** What the ledger works with. */
export interface LedgerTools {
  store: Store;
  clock: Clock;
  random: Random;
  /** When this life of the server looked at the silence that each weak proof stands on. */
  silentAtMs: Map<string, MonotonicMs>;
}

/** Who revises, and what was heard of the hosts. */
export interface Revision {
  vmUuid: string;
  /** Monotonic time of a host's last sign of life; undefined: none seen. */
  lastSignOfLifeMs: (hostUuid: string) => number | undefined;
}

/** The proofs that close runs of this VM now; voided ones close nothing any more. */
export async function closingProofs(
  on: Queryable,
  { silentAtMs }: LedgerTools,
  vmUuid: string,
): Promise<StoredProof[]> {
  const rows = await on
    .selectFrom('proofs')
    .innerJoin('runs', 'runs.proofUuid', 'proofs.uuid')
    .selectAll('proofs')
    .where('runs.vmUuid', '=', vmUuid)
    .orderBy('proofs.epoch')
    .execute();
  return rows.map((row) => ({ ...row, silentAtMs: silentAtMs.get(row.uuid) }));
}

/**
 * safety: a person's word is only as good as the silence it stood on; what voids it opens the run
 * again, so that another proof must close it.
 */
export async function reviseProofs(
  tx: Queryable,
  tools: LedgerTools,
  { vmUuid, lastSignOfLifeMs }: Revision,
): Promise<string[]> {
  const reasons: string[] = [];
  for (const proof of await closingProofs(tx, tools, vmUuid)) {
    const now = isoNow(tools.clock);
    const problem =
      proof.usedAt === null
        ? proofProblem(proof, now, lastSignOfLifeMs(proof.hostUuid))
        : undefined;
    if (problem === undefined) continue;
    reasons.push(problem);
    await tx
      .updateTable('proofs')
      .set({ voidedReason: problem })
      .where('uuid', '=', proof.uuid)
      .execute();
    await tx
      .updateTable('runs')
      .set({ state: 'maybe', closedAt: null, proofUuid: null })
      .where('proofUuid', '=', proof.uuid)
      .execute();
  }
  return reasons;
}

/** Stores the proof as the next of the chain and closes its run with it. */
export async function closeRun(
  tx: Queryable,
  { clock, random, silentAtMs }: LedgerTools,
  { proof, taskUuid }: { proof: FenceProof; taskUuid: string | null },
): Promise<ProofsTable> {
  const { claim } = proof;
  const { run } = claim;
  const row = await tx
    .selectFrom('runs')
    .selectAll()
    .where('vmUuid', '=', run.vmUuid)
    .where('epoch', '=', run.epoch)
    .executeTakeFirst();
  if (row === undefined) throw new DomainError('NOT_FOUND', `no ${runName(run)}`);
  if (row.proofUuid !== null)
    return tx
      .selectFrom('proofs')
      .selectAll()
      .where('uuid', '=', row.proofUuid)
      .executeTakeFirstOrThrow();
  const place = await nextPlace(tx);
  const expiresMs = claim.expiresAfterSec;
  const body = {
    ...place,
    uuid: random.uuid(),
    taskUuid,
    kind: claim.kind,
    vmUuid: run.vmUuid,
    epoch: run.epoch,
    hostUuid: run.hostUuid,
    bootId: run.bootId,
    source: claim.source,
    facts: claim.facts,
    createdAt: isoNow(clock),
    expiresAt:
      expiresMs === undefined ? null : new Date(clock.wallMs() + expiresMs * 1_000).toISOString(),
  };
  const { facts, ...fields } = body;
  const factsJson = canonicalJson(facts);
  const digest = proofDigest(body);
  const stored = { ...fields, factsJson, usedAt: null, voidedReason: null, digest };
  await tx.insertInto('proofs').values(stored).execute();
  // safety: F41: who acts between the look at the silence and this line is alive, too. One whose
  // look is not known holds nothing.
  if (isWeak(claim.kind) && claim.silentAtMs !== undefined)
    silentAtMs.set(stored.uuid, claim.silentAtMs);
  await tx
    .updateTable('runs')
    .set({ state: 'closed', closedAt: isoNow(clock), proofUuid: stored.uuid })
    .where('vmUuid', '=', run.vmUuid)
    .where('epoch', '=', run.epoch)
    .execute();
  return stored;
}
