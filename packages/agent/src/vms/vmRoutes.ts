import { makeKeyedQueue, type Clock, type Handlers, type KeyedQueue } from '@fenceline/common';
import {
  dashed,
  ok,
  VmDomainRsp,
  VmStatusRsp,
  VmSyncRsp,
  type agentRoutes,
  type VmStatusCmd,
} from '@fenceline/protocol';
import type { HostView } from '../host/hostView.js';
import { describeDomain } from '../libvirt/describeDomain.js';
import { unmarkRun } from '../libvirt/domainXml.js';
import { destroyVm } from './destroyVm.js';
import type { LocalFence } from './localFence.js';
import { lookAtVm, lookAtVms, type LookPorts } from './look.js';
import { startVm } from './startVm.js';
import type { VmTracker } from './vmTracker.js';

export interface VmRoutePorts extends LookPorts {
  clock: Clock;
  host: HostView;
  localFence: LocalFence;
  tracker: Pick<VmTracker, 'look'>;
}

type VmRouteName = 'vmSync' | 'vmStart' | 'vmDestroy' | 'vmStatus' | 'vmDomain';

/** Bound on operations that wait for one VM. */
const MAX_WAITING = 32;

export interface VmRoutes {
  handlers: Pick<Handlers<typeof agentRoutes>, VmRouteName>;
  /** Settles when no start, stop or fence is under way. */
  idle(): Promise<void>;
}

/** The routes about VMs; one operation at a time per VM, fences apart. */
export function vmRoutes(ports: VmRoutePorts): VmRoutes {
  const queue: KeyedQueue = makeKeyedQueue(MAX_WAITING);
  const fenceQueue: KeyedQueue = makeKeyedQueue(MAX_WAITING);
  const { log } = ports;
  /** Whatever came of it, the watch stream soon shows what is true now. */
  const thenLook = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } finally {
      ports.tracker.look();
    }
  };
  return {
    handlers: {
      vmSync: async () => {
        const look = await lookAtVms(ports);
        const { bootId } = await ports.host.boot();
        return ok(VmSyncRsp, { ...look, bootId });
      },
      vmStart: (command) => {
        const { vmUuid, epoch, taskId = '-' } = command;
        const said = log.child({ vmUuid, epoch, taskId });
        return thenLook(startVm({ ...ports, queue, log: said }, command));
      },
      vmDestroy: (command, { signal }) => {
        const { vmUuid, fenceEpoch, taskId = '-' } = command;
        const said = log.child({ vmUuid, fenceEpoch, taskId });
        return thenLook(destroyVm({ ...ports, queue, fenceQueue, log: said }, command, signal));
      },
      vmStatus: (command) => vmStatus(ports, command),
      vmDomain: async (command) => {
        const vmUuid = dashed(command.vmUuid);
        const domainXml = unmarkRun(await ports.libvirt.definition(vmUuid), vmUuid);
        return ok(VmDomainRsp, { ...describeDomain(domainXml), domainXml });
      },
    },
    idle: async () => {
      await queue.idle();
      await fenceQueue.idle();
    },
  };
}

async function vmStatus(ports: VmRoutePorts, command: VmStatusCmd): Promise<VmStatusRsp> {
  const vmUuid = dashed(command.vmUuid);
  const look = await lookAtVm(ports, vmUuid);
  const vm = look.vms.find(({ hasProcess }) => hasProcess) ?? look.vms[0];
  const { bootId } = await ports.host.boot();
  return ok(VmStatusRsp, {
    highestBegan: (await ports.state.began(vmUuid)) ?? null,
    barrierEpoch: (await ports.state.barrier(vmUuid)) ?? null,
    bootId,
    ...(vm === undefined ? {} : { vm }),
  });
}
