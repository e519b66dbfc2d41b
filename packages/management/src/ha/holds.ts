import type { Clock } from '@fenceline/common';
import type { HostDirectory, HostJudgement } from '../hosts/contracts.js';
import type { SettingsSource } from '../settings/settings.js';
import type { Store } from '../store/store.js';
import type { HaTask } from './tasks/task.js';

export interface HoldsDeps {
  store: Store;
  settings: SettingsSource;
  clock: Pick<Clock, 'monotonicMs'>;
  directory: Pick<HostDirectory, 'all'>;
  judgementOf: (hostUuid: string) => HostJudgement | undefined;
}

/** What keeps tasks from steps that can't be taken back; asked before each of them. */
export interface Holds {
  /** Why this task may do nothing to hosts of these clusters now; undefined: it may. */
  mode(taskUuid: string, clusterUuids: readonly string[]): string | undefined;
  /** Why an attempt may not begin. */
  attempt(taskUuid: string, clusterUuid: string): Promise<string | undefined>;
  /** A person wants this task to go on, whatever the mode is. */
  ordered(taskUuid: string): void;
  /** A person gives this task up: nothing of it goes on, until the function that comes back is called. */
  givesUp(taskUuid: string): () => void;
  /** Those of these tasks that may not begin their next attempt, and why. */
  ofTasks(tasks: readonly HaTask[]): Promise<ReadonlyMap<string, string>>;
  /** This server begins to watch. */
  start(): void;
  /** The VMs of this host were listed, and what was found is in the ledger. */
  listed(hostUuid: string): void;
}

/** The limit of silence grows with the jitter of a link, at most so many times (D2). */
const WIDEST_LIMIT = 3;

export function makeHolds(deps: HoldsDeps): Holds {
  const { settings, store } = deps;
  const listed = new Set<string>();
  let watchingSinceMs = Number.POSITIVE_INFINITY;

  /**
   * As many as people gave orders.
   * safety: in this life of the server only: an order that a restored database tells of is old.
   */
  const ordered = new Set<string>();

  /** As many as people wait for right now. */
  const givenUp = new Set<{ taskUuid: string }>();

  const mode: Holds['mode'] = (taskUuid, clusterUuids) => {
    // safety: the newer word of a person; it outranks an order of before.
    if ([...givenUp].some((each) => each.taskUuid === taskUuid)) return 'a person gives it up';
    if (ordered.has(taskUuid)) return undefined;
    const modes = clusterUuids.map((uuid) => settings.current(uuid).ha.mode);
    const resting = modes.find((each) => each !== 'active');
    return resting === undefined ? undefined : `HA does not act (ha.mode is ${resting})`;
  };

  /**
   * safety: F37, F38: whether a VM runs elsewhere is known only once every host that could hold it
   * has told, or is silent for too long to be just late with it.
   */
  const unheard = async (clusterUuid: string): Promise<string | undefined> => {
    const limitMs = WIDEST_LIMIT * settings.current(clusterUuid).ha.detect.silentAfterMs;
    if (deps.clock.monotonicMs() - watchingSinceMs > limitMs) return undefined;
    const hosts = (await deps.directory.all()).filter((host) => host.clusterUuid === clusterUuid);
    const missing = hosts.find(({ uuid }) => {
      const isDown = deps.judgementOf(uuid)?.inputs['link'] === 'down';
      return !listed.has(uuid) && !isDown;
    });
    return missing && `host ${missing.name} was not heard yet since this server started`;
  };

  const attempt: Holds['attempt'] = async (taskUuid, clusterUuid) =>
    mode(taskUuid, [clusterUuid]) ?? (await unheard(clusterUuid));

  return {
    mode,
    attempt,
    ofTasks: async (tasks) => {
      const vmUuids = tasks.map(({ vmUuid }) => vmUuid);
      const vms = await store.db
        .selectFrom('vms')
        .select(['uuid', 'clusterUuid'])
        .where('uuid', 'in', vmUuids)
        .execute();
      const clusters = new Map(vms.map(({ uuid, clusterUuid }) => [uuid, clusterUuid]));
      const held = new Map<string, string>();
      for (const { uuid, vmUuid } of tasks) {
        const why = await attempt(uuid, clusters.get(vmUuid) ?? '');
        if (why !== undefined) held.set(uuid, why);
      }
      return held;
    },
    ordered: (taskUuid) => void ordered.add(taskUuid),
    givesUp: (taskUuid) => {
      const hold = { taskUuid };
      givenUp.add(hold);
      return () => void givenUp.delete(hold);
    },
    start: () => void (watchingSinceMs = deps.clock.monotonicMs()),
    listed: (hostUuid) => void listed.add(hostUuid),
  };
}
