import { dashed, type BarrierKind } from '@fenceline/protocol';
import type { Grant, HostState, RunRecord } from './hostState.js';

/** What survives a restart of the agent (`run`) and of the host (`disk`), for simulated hosts. */
export interface HostMemory {
  disk: {
    hostUuid?: string;
    seeded: boolean;
    began: Map<string, number>;
    barriers: Map<string, number>;
  };
  run: {
    hostUuid?: string;
    barriers: Map<string, number>;
    grants: Map<string, Grant>;
    runs: Map<string, RunRecord>;
    /** F29a. */
    orderTokens: Set<string>;
  };
}

export function emptyHostMemory(): HostMemory {
  return {
    disk: { seeded: false, began: new Map(), barriers: new Map() },
    run: { barriers: new Map(), grants: new Map(), runs: new Map(), orderTokens: new Set() },
  };
}

/** Options of a memory host state. */
export interface MemoryHostStateOptions {
  /** Can the disk be written now? If not, a barrier is kept in memory only. */
  diskAnswers?: () => boolean;
}

/** The records of a host in memory: same promises as the files, for tests and simulated hosts. */
export function memoryHostState(
  memory: HostMemory,
  { diskAnswers = () => true }: MemoryHostStateOptions = {},
): HostState {
  const { disk, run } = memory;
  return {
    identity: async () => ({ hostUuid: disk.hostUuid ?? run.hostUuid, seeded: disk.seeded }),
    adopt: async (hostUuid, runs) => {
      disk.hostUuid = dashed(hostUuid);
      run.hostUuid = dashed(hostUuid);
      if (disk.seeded || runs === undefined) return;
      for (const { vmUuid, epoch } of runs) raise(disk.began, dashed(vmUuid), epoch);
      disk.seeded = true;
    },
    barrier: async (vmUuid) => larger(run.barriers.get(vmUuid), disk.barriers.get(vmUuid)),
    raiseBarrier: async (vmUuid, epoch): Promise<BarrierKind> => {
      raise(run.barriers, vmUuid, epoch);
      if (!diskAnswers()) return 'memory';
      raise(disk.barriers, vmUuid, epoch);
      return 'disk';
    },
    began: async (vmUuid) => disk.began.get(vmUuid),
    recordBegan: async (vmUuid, epoch) => raise(disk.began, vmUuid, epoch),
    grants: async () => [...run.grants.values()],
    writeGrant: async (grant) => void run.grants.set(grant.vmUuid, { ...grant }),
    dropGrant: async (grant) => {
      const { epoch, pid, startTime } = run.grants.get(grant.vmUuid) ?? {};
      if (epoch === grant.epoch && pid === grant.pid && startTime === grant.startTime)
        run.grants.delete(grant.vmUuid);
    },
    runs: async () => new Map(run.runs),
    recordRun: async (vmUuid, record) => void run.runs.set(vmUuid, { ...record }),
  };
}

function raise(map: Map<string, number>, key: string, epoch: number): void {
  map.set(key, Math.max(epoch, map.get(key) ?? 0));
}

/** The larger of two, where undefined is less than everything. */
export function larger(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
}
