import type { RunState } from '../../store/schema.js';

/** An open run with the names that people read. */
export interface OpenRun {
  vmUuid: string;
  epoch: number;
  hostUuid: string;
  /** Null: its host is not in the inventory. */
  hostName: string | null;
  state: RunState;
}

/**
 * The open runs of each VM that has some on more than one host, lowest epoch first: as far as the
 * ledger knows, two qemus may write to its disks. Runs of two boots of one host are no such case.
 */
export function doubledRuns(open: readonly OpenRun[]): ReadonlyMap<string, readonly OpenRun[]> {
  const byVm = new Map<string, OpenRun[]>();
  for (const run of open.filter(({ state }) => state !== 'closed' && state !== 'incoming'))
    byVm.set(run.vmUuid, [...(byVm.get(run.vmUuid) ?? []), run]);
  return new Map(
    [...byVm]
      .filter(([, runs]) => new Set(runs.map(({ hostUuid }) => hostUuid)).size > 1)
      .map(([vmUuid, runs]) => [vmUuid, runs.toSorted((a, b) => a.epoch - b.epoch)]),
  );
}

/** `run 2 on h1 (running) and run 3 on h2 (maybe)` */
export function runsText(
  runs: readonly Pick<OpenRun, 'epoch' | 'hostUuid' | 'hostName' | 'state'>[],
): string {
  return runs
    .map(
      ({ epoch, hostName, hostUuid, state }) =>
        `run ${epoch} on ${hostName ?? hostUuid} (${state})`,
    )
    .join(' and ');
}
