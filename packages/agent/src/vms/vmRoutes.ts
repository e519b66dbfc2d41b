import {
  makeKeyedQueue,
  messageOf,
  type Clock,
  type Handlers,
  type KeyedQueue,
  type LogFacts,
  type Logger,
} from '@fenceline/common';
import {
  dashed,
  DestroyVmRsp,
  DomainError,
  ok,
  StartVmRsp,
  VmDomainRsp,
  VmStatusRsp,
  VmSyncRsp,
  type agentRoutes,
  type Rsp,
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
  /** Whatever came of it, the log tells it and the watch stream soon shows what is true now. */
  const told = async <T extends Rsp>(said: Logger, work: Promise<T>): Promise<T> => {
    said.info('begun');
    try {
      const rsp = await work;
      said.info('ended', outcomeOf(rsp));
      return rsp;
    } catch (error) {
      const code = error instanceof DomainError ? error.code : 'INTERNAL';
      said.warn('refused', { code, error: messageOf(error) });
      throw error;
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
        const said = log.child({ epoch, taskId }, `[VM start vm=${dashed(vmUuid)}]`);
        return told(said, startVm({ ...ports, queue, log: said }, command));
      },
      vmDestroy: (command, { signal }) => {
        const { vmUuid, fenceEpoch, taskId = '-' } = command;
        const facts = { fenceEpoch, purpose: command.purpose, taskId };
        const said = log.child(facts, `[VM destroy vm=${dashed(vmUuid)}]`);
        return told(said, destroyVm({ ...ports, queue, fenceQueue, log: said }, command, signal));
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

function outcomeOf(rsp: Rsp): LogFacts {
  if (rsp instanceof StartVmRsp) return { state: rsp.state, pid: rsp.pid, running: rsp.epoch };
  if (!(rsp instanceof DestroyVmRsp)) return {};
  const { verdict, highestBegan, beganKnown } = rsp;
  const { outcome, barrier } = verdict ?? {};
  return { success: rsp.success, outcome, barrier, highestBegan, beganKnown };
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
