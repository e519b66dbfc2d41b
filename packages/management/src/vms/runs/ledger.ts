import {
  isoNow,
  linkDigestOf,
  standsOnDigest,
  startDigestOf,
  type StandsOn,
} from '@fenceline/common';
import { DomainError, type ClosedRun } from '@fenceline/protocol';
import type { FenceProof } from '../../fencing/proof.js';
import type { ProofsTable } from '../../store/schema.js';
import type { Queryable } from '../../store/store.js';
import { nextPlace } from './chain.js';
import {
  closeRun,
  closingProofs,
  reviseProofs,
  type LedgerTools,
  type Revision,
} from './closing.js';
import { grantProblem, type LiveElsewhere } from './grantRule.js';
import { runOf, type Run } from './run.js';

interface GrantDigests {
  reliesOn: readonly string[];
  digest: string;
}

/**
 * The sole right to run a VM on one host, as recorded in the ledger. Only the ledger makes one,
 * and a start command is only made from one.
 */
export class RunGrant {
  // safety: nominal; no object literal can pose as a grant.
  readonly #brand = true;
  private constructor(
    readonly run: Run,
    readonly closedRuns: readonly ClosedRun[],
    private readonly chain: GrantDigests,
  ) {}

  /** Digests of the proofs that this grant is the first to rely on. */
  get reliesOn(): readonly string[] {
    return this.chain.reliesOn;
  }

  /** Of this start in the chain of proofs. */
  get digest(): string {
    return this.chain.digest;
  }

  /** For the ledger alone. */
  static record(run: Run, closedRuns: readonly ClosedRun[], chain: GrantDigests): RunGrant {
    const grant = new RunGrant(run, closedRuns, chain);
    return grant.#brand ? grant : grant;
  }
}

export interface GrantRequest {
  vmUuid: string;
  hostUuid: string;
  /** Boot id of the destination as its link shows it now. */
  bootId: string;
  /** Where the VM is seen alive right now, from fresh lists (F38). */
  liveOn: readonly LiveElsewhere[];
  /** Monotonic time of each host's last sign of life (F41); undefined: none seen. */
  lastSignOfLifeMs: (hostUuid: string) => number | undefined;
  /** The HA task that asks, for the record. */
  taskUuid?: string | undefined;
}

/** A live qemu that no start of this server explains. */
export type FoundRun = Pick<Run, 'vmUuid' | 'hostUuid' | 'bootId' | 'mark'>;

/** The ledger of runs: who may run a VM. Check and record in one call; no half of it. */
export interface Ledger {
  openRuns(vmUuid: string, on?: Queryable): Promise<Run[]>;
  openRunsOnHost(hostUuid: string): Promise<Run[]>;
  /**
   * Opens the next run, state `maybe`, committed before anybody acts on it (F33).
   * @throws DomainError REFUSED if any other run is open, a proof no longer holds, or the VM is
   *   seen alive.
   */
  grant(request: GrantRequest): Promise<RunGrant>;
  /**
   * Takes back, and says why, every proof that no longer holds and that no start relied on yet
   * (F41); its run is open again.
   */
  reviseProofs(request: Revision): Promise<string[]>;
  /**
   * `maybe` → `running`, when its host reports it with that epoch. From then on the proofs of the
   * runs before it are used: a word that closed one of them can't be taken back any more.
   */
  seenRunning(vmUuid: string, epoch: number): Promise<void>;
  /**
   * Records a run that was found, not granted, above all epochs of the VM (import, adoption). A life
   * that is in the ledger already is that run: two may report it at once.
   */
  adopt(found: FoundRun): Promise<Run>;
  /** Stores the proof in the chain and closes its run with it; twice is harmless. */
  close(proof: FenceProof, taskUuid: string | null): Promise<ProofsTable>;
}

export function makeLedger(given: Omit<LedgerTools, 'silentAtMs'>): Ledger {
  const tools: LedgerTools = { ...given, silentAtMs: new Map() };
  const { store } = tools;
  return {
    openRuns: (vmUuid, on = store.db) => openRuns(on, vmUuid),
    openRunsOnHost: async (hostUuid) => {
      const rows = await store.db
        .selectFrom('runs')
        .selectAll()
        .where('hostUuid', '=', hostUuid)
        .where('state', '!=', 'closed')
        .orderBy('openedAt')
        .execute();
      return rows.map(runOf);
    },
    grant: (request) => store.transaction((tx) => grant(tx, tools, request)),
    reviseProofs: (request) => store.transaction((tx) => reviseProofs(tx, tools, request)),
    seenRunning: (vmUuid, epoch) =>
      store.transaction((tx) => seenRunning(tx, tools, { vmUuid, epoch })),
    adopt: (found) => store.transaction((tx) => adopt(tx, tools, found)),
    close: (proof, taskUuid) => store.transaction((tx) => closeRun(tx, tools, { proof, taskUuid })),
  };
}

const closedFields = { closedAt: null, proofUuid: null };

async function seenRunning(
  tx: Queryable,
  { clock }: LedgerTools,
  { vmUuid, epoch }: { vmUuid: string; epoch: number },
): Promise<void> {
  await tx
    .updateTable('runs')
    .set({ state: 'running' })
    .where('vmUuid', '=', vmUuid)
    .where('epoch', '=', epoch)
    .where('state', 'in', ['maybe', 'incoming'])
    .execute();
  const run = await tx
    .selectFrom('runs')
    .select('openedAt')
    .where('vmUuid', '=', vmUuid)
    .where('epoch', '=', epoch)
    .executeTakeFirst();
  if (run === undefined) return;
  // Only those that the run's grant stood on: made before it was opened.
  await tx
    .updateTable('proofs')
    .set({ usedAt: isoNow(clock) })
    .where('vmUuid', '=', vmUuid)
    .where('epoch', '<', epoch)
    .where('createdAt', '<=', run.openedAt)
    .where('usedAt', 'is', null)
    .where('voidedReason', 'is', null)
    .execute();
}

async function adopt(tx: Queryable, { clock }: LedgerTools, found: FoundRun): Promise<Run> {
  const vm = await tx
    .selectFrom('vms')
    .select('epoch')
    .where('uuid', '=', found.vmUuid)
    .executeTakeFirst();
  if (vm === undefined) throw new DomainError('NOT_FOUND', `no VM ${found.vmUuid}`);
  const open = await openRuns(tx, found.vmUuid);
  const same = open.find(
    (run) =>
      run.hostUuid === found.hostUuid && run.bootId === found.bootId && run.mark === found.mark,
  );
  if (same !== undefined) return same;
  const epoch = Math.max(vm.epoch + 1, found.mark ?? 0);
  const host = await tx
    .selectFrom('hosts')
    .select('pidNamespace')
    .where('uuid', '=', found.hostUuid)
    .where('bootId', '=', found.bootId)
    .executeTakeFirst();
  const run = {
    ...found,
    epoch,
    pidNamespace: host?.pidNamespace ?? null,
    state: 'running' as const,
    openedAt: isoNow(clock),
    ...closedFields,
  };
  await tx.insertInto('runs').values(run).execute();
  await tx.updateTable('vms').set({ epoch }).where('uuid', '=', found.vmUuid).execute();
  return runOf(run);
}

async function openRuns(on: Queryable, vmUuid: string): Promise<Run[]> {
  const rows = await on
    .selectFrom('runs')
    .selectAll()
    .where('vmUuid', '=', vmUuid)
    .where('state', '!=', 'closed')
    .orderBy('epoch')
    .execute();
  return rows.map(runOf);
}

async function grant(tx: Queryable, tools: LedgerTools, request: GrantRequest): Promise<RunGrant> {
  const { vmUuid } = request;
  const vm = await tx
    .selectFrom('vms')
    .select(['uuid', 'epoch'])
    .where('uuid', '=', vmUuid)
    .executeTakeFirst();
  if (vm === undefined) throw new DomainError('NOT_FOUND', `no VM ${vmUuid}`);
  const host = await tx
    .selectFrom('hosts')
    .select(['name', 'status', 'state', 'bootId', 'pidNamespace'])
    .where('uuid', '=', request.hostUuid)
    .executeTakeFirst();
  const open = await openRuns(tx, vmUuid);
  const proofs = await closingProofs(tx, tools, vmUuid);
  const unused = proofs.filter((proof) => proof.usedAt === null);
  // safety: the one gate of every start, in the same transaction that records the new run.
  const problem = grantProblem({ request, host, open, unused, now: isoNow(tools.clock) });
  if (problem !== undefined) throw new DomainError('REFUSED', problem, { vmUuid });
  const epoch = vm.epoch + 1;
  const run: Run = {
    vmUuid,
    epoch,
    hostUuid: request.hostUuid,
    bootId: request.bootId,
    mark: epoch,
    pidNamespace: host?.bootId === request.bootId ? host.pidNamespace : null,
    state: 'maybe',
    openedAt: isoNow(tools.clock),
    ...closedFields,
  };
  await tx
    .insertInto('runs')
    .values({ ...run, taskUuid: request.taskUuid ?? null })
    .execute();
  await tx.updateTable('vms').set({ epoch }).where('uuid', '=', vmUuid).execute();
  const closed = proofs.map((proof) => ({ epoch: proof.epoch, proofDigest: proof.digest }));
  const digest = await storeStart(tx, { run, taskUuid: request.taskUuid ?? null }, closed);
  const reliesOn = unused.map((proof) => proof.digest);
  return RunGrant.record(run, closed.slice(-1_024), { reliesOn, digest });
}

/** The start stands in the chain with what it stands on, so that neither can be exchanged later. */
async function storeStart(
  tx: Queryable,
  { run, taskUuid }: { run: Run; taskUuid: string | null },
  closed: readonly StandsOn[],
): Promise<string> {
  const { vmUuid, epoch, hostUuid, bootId, openedAt } = run;
  const standsOn = standsOnDigest(closed);
  const body = { taskUuid, vmUuid, epoch, hostUuid, bootId, openedAt, standsOn };
  const place = await nextPlace(tx);
  const digest = linkDigestOf(place.sequence, place.previousDigest, startDigestOf(body));
  await tx
    .insertInto('starts')
    .values({ ...body, ...place, digest })
    .execute();
  return digest;
}
