import { messageOf, type Clock, type Logger, type Random } from '@fenceline/common';
import type { ApiServices } from './api/services.js';
import type { ManagementNode } from './cluster/node.js';
import type { ProofChannel } from './fencing/channels/channel.js';
import { makeCloseOnHost, ownAgentChannel } from './fencing/channels/ownAgent.js';
import { peerChannel } from './fencing/channels/peer.js';
import { powerChannel } from './fencing/channels/power.js';
import { makePeerFencing } from './fencing/peerFencing.js';
import { makeProveRebooted } from './fencing/rebooted.js';
import { makePowerControl } from './fencing/power/powerControl.js';
import { makePowerOrders } from './fencing/power/powerOrders.js';
import { makePowerSettle } from './fencing/power/powerSettle.js';
import type { PowerDevice } from './fencing/power/powerDevice.js';
import {
  makeFencingReadiness,
  readinessExtensions,
  type FencingReadiness,
} from './fencing/readiness.js';
import { dropRefusedPower } from './fencing/power/refusedPower.js';
import type { StorageRecords } from './fencing/storageRecords.js';
import { makeDispatch } from './ha/dispatch.js';
import { makeHolds } from './ha/holds.js';
import { makeHostFailures, type HostFailures } from './ha/hostFailures.js';
import { probeTask } from './ha/probe.js';
import { makeConfirmDeadService, makeTasksService } from './ha/services.js';
import { haStart } from './ha/start/haStart.js';
import type { BeforeHaStartVm } from './ha/start/context.js';
import { makeTasks, type StepMark } from './ha/tasks/tasks.js';
import type { AgentGateway } from './hosts/agentGateway.js';
import type {
  HostDirectory,
  HostFencingMarks,
  HostListener,
  HostPresence,
} from './hosts/contracts.js';
import { makeHostLogins, type HostLogins, type LoginVault } from './hosts/hostLogins.js';
import { makeHostDirectory } from './hosts/directory.js';
import { makeHosts, type HostLiveness, type Hosts } from './hosts/hosts.js';
import { makeMessageBus, type MessageBus } from './messages/bus.js';
import { makePlacer } from './placement/placer.js';
import type { SettingsSource } from './settings/settings.js';
import { tellSinglePolicies } from './settings/singlePolicy.js';
import type { Store } from './store/store.js';
import type { Events } from './telemetry/events.js';
import { makeHostProtection, type HostProtection } from './vms/hostProtection.js';
import { makeVmInventory } from './vms/inventory.js';
import { makeChainWatch } from './vms/runs/chainWatch.js';
import { makeLedger, type Ledger } from './vms/runs/ledger.js';
import { makeOldBoots } from './vms/oldBoots.js';
import { makeRunWatch } from './vms/runWatch.js';
import { makeVmsService } from './vms/service.js';
import { stopVm } from './vms/stop.js';
import { makeUnfinishedStops, settleStop } from './vms/unfinishedStops.js';

/** Everything impure that the server's core works with. */
export interface CorePorts {
  store: Store;
  clock: Clock;
  random: Random;
  log: Logger;
  gateway: AgentGateway;
  powerDevice: PowerDevice;
  loginVault: LoginVault;
  settings: SettingsSource;
  node: ManagementNode;
  events: Events;
}

export interface CoreOptions {
  /** Asked before every HA start, in this order (F1). */
  beforeHaStart?: readonly BeforeHaStartVm[];
  /** Told of each step of a task right after the store knows of it. */
  onStep?: ((step: StepMark) => void) | undefined;
  /** Ways to prove a run over, instead of the product's; for worlds that plant a lie. */
  channels?: (standard: readonly ProofChannel[]) => readonly ProofChannel[];
  /** What hosts leave on shared storage; absent: nothing, as no self-fencer writes there yet. */
  storageRecords?: StorageRecords;
}

/** The server without its sockets: the same in production and on a simulated world. */
export interface ManagementCore {
  readonly services: ApiServices;
  readonly events: Events;
  readonly ledger: Ledger;
  start(): Promise<void>;
  /** Settles when nothing of it runs any more. */
  stop(): Promise<void>;
}

/** Builds the domains top-down; nothing happens before `start`. */
export function composeCore(ports: CorePorts, options: CoreOptions = {}): ManagementCore {
  const { store, clock, log, events } = ports;
  const bus = makeMessageBus(clock, log);
  const directory = makeHostDirectory(store);
  const logins = makeHostLogins(store, ports.loginVault);
  const protection = makeHostProtection({ ...ports, directory });
  const ready = readinessExtensions(() => readiness);
  const hosts = makeHosts({
    ...{ ...ports, logins, bus, power: ports.powerDevice, owner: ports.node },
    extensions: { ...ready, preConnect: [protection.extension, ...ready.preConnect] },
  });
  const { presence, repository } = hosts;
  const readiness = makeFencingReadiness({ ...ports, presence, repository });
  const { lines, tokens } = readiness;
  const base = { ...ports, logins, lines, tokens, bus, directory, hosts, protection, presence };
  const fencing = composeFencing(base, options);
  const ha = composeHa({ ...base, ...fencing }, options);
  const { dispatch, inventory, ledger, placer, tasks } = ha;
  const { listener, unfinishedStops } = ha;
  handleMessages(bus, { fencing, ha });
  const watchingSinceMs = clock.monotonicMs();
  const chain = makeChainWatch(ports);
  return {
    services: {
      hosts: hosts.inventory,
      vms: makeVmsService({ ...base, inventory, tasks, dispatch, placer }),
      tasks: makeTasksService({ ...ports, ...ha }),
      confirmDead: makeConfirmDeadService({ ...base, ledger, dispatch, watchingSinceMs }),
      seen: readiness.seen,
      chain,
    },
    events,
    ledger,
    start: async () => {
      await tellSinglePolicies(ports);
      await dropRefusedPower(ports);
      protection.start();
      ha.holds.start();
      await hosts.start(listener);
      readiness.start();
      await dispatch.start();
      chain.start();
      await unfinishedStops.start();
      fencing.powerSettle.start();
    },
    stop: async () => {
      dispatch.stop();
      await chain.stop();
      await fencing.powerSettle.stop();
      await readiness.stop();
      await protection.stop();
      await hosts.stop();
      await bus.idle();
    },
  };
}

type Domains = {
  fencing: ReturnType<typeof composeFencing>;
  ha: ReturnType<typeof composeHa>;
};

function handleMessages(bus: MessageBus, { fencing, ha }: Domains): void {
  bus.handle('FenceVmOnHost', { run: (message) => fencing.peers.fence(message) });
  bus.handle('HaStartVmInstance', {
    queue: vmQueue,
    run: (message, signal) => haStart(ha.haStartDeps, message, signal),
  });
  bus.handle('ProbeHaTask', {
    queue: vmQueue,
    run: async ({ taskId }, signal) => {
      await probeTask(ha.haStartDeps, taskId, signal);
      return {};
    },
  });
  bus.handle('SettleStop', {
    queue: vmQueue,
    run: async ({ vmUuid }) => {
      await settleStop(ha.stopVmDeps, vmUuid);
      return {};
    },
  });
  bus.handle('StopVmInstance', {
    queue: vmQueue,
    run: async (message) => {
      await stopVm(ha.stopVmDeps, message);
      return {};
    },
  });
}

/** Starts and stops of one VM wait for each other. */
const vmQueue = ({ vmUuid }: { vmUuid: string }): string => `vm:${vmUuid}`;

interface Base extends CorePorts, Pick<FencingReadiness, 'lines' | 'tokens'> {
  logins: HostLogins;
  bus: MessageBus;
  directory: HostDirectory;
  hosts: Hosts;
  protection: HostProtection;
  presence: HostPresence;
}

/** Ways to prove a run over. */
function composeFencing(base: Base, options: CoreOptions) {
  const { bus, settings, presence, clock } = base;
  const peers = makePeerFencing(base);
  const powerDeps = { ...base, device: base.powerDevice };
  const orders = makePowerOrders(base);
  const power = makePowerControl(powerDeps, orders);
  const powerSettle = makePowerSettle({ ...powerDeps, orders, control: power });
  const closeOnHost = makeCloseOnHost(base);
  const standard = [
    peerChannel({
      ...{ bus, settings, presence, clock },
      orders: peers,
      records: options.storageRecords,
    }),
    ownAgentChannel(closeOnHost),
    powerChannel({ power, presence, settings, clock }),
  ];
  const channels = options.channels?.(standard) ?? standard;
  return {
    power,
    powerSettle,
    closeOnHost,
    proveRebooted: makeProveRebooted(base),
    channels,
    peers,
  };
}

/** Bringing VMs back: the ledger, tasks and what hosts report. */
function composeHa(base: Base & ReturnType<typeof composeFencing>, options: CoreOptions) {
  const { node, log } = base;
  const ledger = tellClosed(makeLedger(base), (hostUuid) => hostFailures.runClosed(hostUuid));
  const owner = { serverUuid: node.uuid, ownerEpoch: node.ownerEpoch };
  const tasks = makeTasks({ ...base, owner, onStep: options.onStep });
  const judgementOf = (hostUuid: string) => hostFailures.judgementOf(hostUuid);
  const holds = makeHolds({ ...base, judgementOf });
  const dispatch = makeDispatch({ ...base, tasks, holds });
  const runWatch = makeRunWatch(base.clock);
  const inventory = makeVmInventory({ ...base, ledger, runWatch });
  const marks = marksOf(base.hosts, log);
  const oldBoots = makeOldBoots({ ...base, ledger, inventory });
  const failureDeps = { ...base, ledger, tasks, marks, dispatch, oldBoots };
  const hostFailures: HostFailures = makeHostFailures(failureDeps);
  const placer = makePlacer(base);
  const haStartDeps = {
    ...base,
    ledger,
    tasks,
    runWatch,
    oldBoots,
    placer,
    extensions: options.beforeHaStart ?? [],
    judgementOf,
    holds,
    fencing: hostFailures,
    refusals: dispatch.refusals,
  };
  const unfinishedStops = makeUnfinishedStops(base);
  const listener: HostListener = {
    vmsListed: async (list) => {
      await inventory.listed(list);
      await unfinishedStops.seen(list.hostUuid);
      holds.listed(list.hostUuid);
      await dispatch.clusterChanged();
    },
    vmChanged: async (change) => {
      await inventory.changed(change);
      await unfinishedStops.seen(change.hostUuid, change.vm.vmUuid);
      await dispatch.vmChanged(change.vm.vmUuid);
    },
    judged: (judgement) => hostFailures.judged(judgement),
  };
  const stopVmDeps = { ...base, ledger, tasks };
  const told = { listener, unfinishedStops, holds };
  return { ledger, tasks, dispatch, inventory, placer, haStartDeps, stopVmDeps, ...told };
}

/** A host that came back meanwhile is not marked any more: the arrow is illegal then. */
function marksOf({ liveness }: Hosts, log: Logger): HostFencingMarks {
  const quietly =
    (arrow: keyof HostLiveness) =>
    async (hostUuid: string, why: string): Promise<void> => {
      await liveness[arrow](hostUuid, why).catch((error: unknown) =>
        log.info('the mark of a host stays', { hostUuid, arrow, error: messageOf(error) }),
      );
    };
  return {
    fencingBegan: quietly('fenceBegan'),
    fencingCalledOff: quietly('fenceCalledOff'),
    fenced: quietly('fenceDone'),
  };
}

/** The ledger, telling the HA domain of every run that was closed. */
function tellClosed(ledger: Ledger, told: (hostUuid: string) => Promise<void>): Ledger {
  return {
    ...ledger,
    close: async (proof, taskUuid) => {
      const stored = await ledger.close(proof, taskUuid);
      await told(stored.hostUuid);
      return stored;
    },
  };
}
