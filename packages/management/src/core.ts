import { messageOf, type Clock, type Logger, type Random } from '@fenceline/common';
import type { ApiServices } from './api/services.js';
import type { ManagementNode } from './cluster/node.js';
import type { ProofChannel } from './fencing/channels/channel.js';
import { makeCloseOnHost, ownAgentChannel } from './fencing/channels/ownAgent.js';
import { peerChannel } from './fencing/channels/peer.js';
import { powerChannel } from './fencing/channels/power.js';
import { makePeerFencing } from './fencing/peerFencing.js';
import { makePowerControl } from './fencing/powerControl.js';
import type { PowerDevice } from './fencing/powerDevice.js';
import { makeDispatch } from './ha/dispatch.js';
import { makeHostFailures } from './ha/hostFailures.js';
import { makeConfirmDeadService, makeTasksService } from './ha/services.js';
import { haStart } from './ha/start/haStart.js';
import type { BeforeHaStartVm } from './ha/start/context.js';
import { makeTasks, type StepMark } from './ha/tasks/tasks.js';
import type { AgentGateway } from './hosts/agentGateway.js';
import type { HostFencingMarks, HostListener } from './hosts/contracts.js';
import { makeHostDirectory } from './hosts/directory.js';
import { makeHosts, type Hosts } from './hosts/hosts.js';
import { makeMessageBus } from './messages/bus.js';
import { makePlacer } from './placement/placer.js';
import type { SettingsSource } from './settings/settings.js';
import type { Store } from './store/store.js';
import type { Events } from './telemetry/events.js';
import { makeVmInventory } from './vms/inventory.js';
import { makeLedger, type Ledger } from './vms/runs/ledger.js';
import { makeRunWatch } from './vms/runWatch.js';
import { makeVmsService } from './vms/service.js';
import { stopVm } from './vms/stop.js';

/** Everything impure that the server's core works with. */
export interface CorePorts {
  store: Store;
  clock: Clock;
  random: Random;
  log: Logger;
  gateway: AgentGateway;
  powerDevice: PowerDevice;
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
  const { store, clock, random, log, gateway, settings, node, events } = ports;
  const bus = makeMessageBus(clock, log);
  const directory = makeHostDirectory(store);
  const hosts = makeHosts({ ...ports, bus, power: ports.powerDevice, owner: node });
  const { presence } = hosts;

  const ledger = tellClosed(makeLedger({ store, clock, random }), (hostUuid) =>
    hostFailures.runClosed(hostUuid),
  );
  const power = makePowerControl({ store, device: ports.powerDevice, settings, clock, random });
  const closeOnHost = makeCloseOnHost({ gateway, directory, settings });
  const standard = [
    peerChannel({ bus, settings }),
    ownAgentChannel(closeOnHost),
    powerChannel({ power, presence, settings, clock }),
  ];
  const peers = makePeerFencing({ ...ports, directory, presence });

  const owner = { serverUuid: node.uuid, ownerEpoch: node.ownerEpoch };
  const tasks = makeTasks({ store, clock, random, owner, onStep: options.onStep });
  const dispatch = makeDispatch({ tasks, bus, settings, clock, log });
  const runWatch = makeRunWatch(clock);
  const inventory = makeVmInventory({ ...ports, ledger, directory, runWatch });
  const hostFailures = makeHostFailures({
    store,
    ledger,
    tasks,
    marks: marksOf(hosts, log),
    dispatch,
    closeOnHost,
    log,
  });
  const haStartDeps = {
    ...ports,
    ledger,
    tasks,
    directory,
    presence,
    closeOnHost,
    runWatch,
    placer: makePlacer({ store, directory, presence, power, settings, clock }),
    channels: options.channels?.(standard) ?? standard,
    extensions: options.beforeHaStart ?? [],
    judgementOf: hostFailures.judgementOf,
    fencing: { began: hostFailures.began, refused: hostFailures.refused },
    refusals: dispatch.refusals,
  };

  const vmQueue = ({ vmUuid }: { vmUuid: string }): string => `vm:${vmUuid}`;
  bus.handle('FenceVmOnHost', { run: (message) => peers.fence(message) });
  bus.handle('HaStartVmInstance', {
    queue: vmQueue,
    run: (message, signal) => haStart(haStartDeps, message, signal),
  });
  bus.handle('StopVmInstance', {
    queue: vmQueue,
    run: async (message) => {
      await stopVm({ store, ledger, events, directory, closeOnHost }, message);
      return {};
    },
  });

  const listener: HostListener = {
    vmsListed: async (list) => {
      await inventory.listed(list);
      await dispatch.clusterChanged();
    },
    vmChanged: (change) => inventory.changed(change),
    judged: (judgement) => hostFailures.judged(judgement),
  };
  const watchingSinceMs = clock.monotonicMs();
  return {
    services: {
      hosts: hosts.inventory,
      vms: makeVmsService({ store, inventory, tasks, dispatch, presence, bus }),
      tasks: makeTasksService({ tasks, dispatch, ledger, events }),
      confirmDead: makeConfirmDeadService({
        ...ports,
        ledger,
        directory,
        presence,
        watchingSinceMs,
        dispatch,
      }),
    },
    events,
    ledger,
    start: async () => {
      await hosts.start(listener);
      await dispatch.start();
    },
    stop: async () => {
      dispatch.stop();
      await hosts.stop();
      await bus.idle();
    },
  };
}

/** A host that came back meanwhile is not marked any more: the arrow is illegal then. */
function marksOf({ liveness }: Hosts, log: Logger): HostFencingMarks {
  const quietly =
    (move: (hostUuid: string, why: string) => Promise<void>) =>
    async (hostUuid: string, why: string): Promise<void> => {
      await move(hostUuid, why).catch((error: unknown) =>
        log.info('the mark of a host stays', { hostUuid, error: messageOf(error) }),
      );
    };
  return {
    fencingBegan: quietly(liveness.fenceBegan),
    fencingCalledOff: quietly(liveness.fenceCalledOff),
    fenced: quietly(liveness.fenceDone),
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
