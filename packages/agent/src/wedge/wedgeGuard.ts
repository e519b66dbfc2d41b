import { messageOf, sleep, type Clock, type Logger } from '@fenceline/common';
import type { VmSeen } from '@fenceline/protocol';
import type { LibvirtDaemon } from '../libvirt/daemon.js';
import type { HostState } from '../vms/hostState.js';
import type { Processes } from '../vms/processes.js';
import type { VmTracker } from '../vms/vmTracker.js';
import { isWedged, type StatusFile } from './wedgeRules.js';

/** libvirt's records of running VMs. @throws Error if one can't be read or removed. */
export interface StatusFiles {
  read(name: string): Promise<StatusFile | undefined>;
  /** Does nothing if it is not this version any more. */
  remove(name: string, version: string): Promise<void>;
}

export interface WedgePorts {
  clock: Clock;
  log: Logger;
  statusFiles: StatusFiles;
  libvirtDaemon: LibvirtDaemon;
  processes: Processes;
  state: Pick<HostState, 'grants'>;
  tracker: Pick<VmTracker, 'known' | 'look'>;
}

/** Frees VMs that libvirt takes for starting up although nothing of them is there (F34). */
export interface WedgeGuard {
  start(): void;
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 1_000;
/** A record that is found like that again, this much later, is acted on. */
const SETTLE_MS = 2_000;
const STOP_WAIT_MS = 1_000;

export function makeWedgeGuard(ports: WedgePorts): WedgeGuard {
  const stopping = new AbortController();
  const { clock, log } = ports;
  const since = new Map<string, { version: string; sinceMs: number }>();
  let running: Promise<void> = Promise.resolve();
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await look(ports, since).catch((error: unknown) =>
        log.warn('a look for wedged VMs failed', { error: messageOf(error) }),
      );
      await sleep(clock, LOOK_EVERY_MS, stopping.signal).catch(() => undefined);
    }
  };
  return {
    start: () => {
      running = loop();
    },
    stop: async () => {
      stopping.abort(new Error('the agent stops'));
      const waited = new AbortController();
      const limit = sleep(clock, STOP_WAIT_MS, waited.signal).catch(() => undefined);
      await Promise.race([running, limit]);
      waited.abort(new Error('stopped'));
    },
  };
}

type Since = Map<string, { version: string; sinceMs: number }>;

async function look(ports: WedgePorts, since: Since): Promise<void> {
  const suspects = ports.tracker
    .known()
    .filter(({ state, hasProcess }) => state === 'Starting' && !hasProcess);
  for (const vmUuid of since.keys())
    if (!suspects.some((vm) => vm.vmUuid === vmUuid)) since.delete(vmUuid);
  if (suspects.length === 0) return;
  const wedged: { vm: VmSeen; version: string }[] = [];
  for (const vm of suspects) {
    const version = await wedgedVersion(ports, vm);
    const before = since.get(vm.vmUuid);
    const nowMs = ports.clock.monotonicMs();
    if (version === undefined) since.delete(vm.vmUuid);
    else if (before?.version !== version) since.set(vm.vmUuid, { version, sinceMs: nowMs });
    else if (nowMs - before.sinceMs >= SETTLE_MS) wedged.push({ vm, version });
  }
  if (wedged.length === 0) return;
  for (const { vm } of wedged) since.delete(vm.vmUuid);
  await repair(ports, wedged);
}

/** The version of its record if the VM is wedged. */
async function wedgedVersion(ports: WedgePorts, vm: VmSeen): Promise<string | undefined> {
  const daemon = await ports.libvirtDaemon.find();
  if (daemon === undefined) return undefined;
  const file = await ports.statusFiles.read(vm.name);
  const grants = await ports.state.grants();
  const lives = await Promise.all(
    grants
      .filter(({ vmUuid }) => vmUuid === vm.vmUuid)
      .map(async ({ pid, startTime }) => (await ports.processes.startTimeOf(pid)) === startTime),
  );
  const lookAlikes = await ports.libvirtDaemon.lookAlikes(daemon);
  const facts = {
    ...{ vmUuid: vm.vmUuid, name: vm.name, file, daemonAgeMs: daemon.ageMs, lookAlikes },
    startUnderWay: lives.includes(true),
    // Last: whatever came of a start that was seen above is seen here.
    qemus: await ports.processes.qemus(),
  };
  return isWedged(facts) ? file?.version : undefined;
}

/** libvirt reads its records as it starts, and believes its memory until then. */
async function repair(
  { libvirtDaemon, statusFiles, log, tracker }: WedgePorts,
  wedged: readonly { vm: VmSeen; version: string }[],
): Promise<void> {
  const daemon = await libvirtDaemon.find();
  if (daemon === undefined) return;
  for (const { vm, version } of wedged) {
    await statusFiles.remove(vm.name, version);
    log.warn('a start that was cut off left a record in libvirt, which is removed', {
      vmUuid: vm.vmUuid,
      name: vm.name,
    });
  }
  // safety: F34: as in a fence: running VMs live on, and what starts it again is what always does
  await libvirtDaemon.signal(daemon, 'KILL');
  log.warn("libvirt's daemon was ended, to forget it", { pid: daemon.pid });
  tracker.look();
}
