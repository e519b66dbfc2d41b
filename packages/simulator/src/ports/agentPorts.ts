import {
  memoryHook,
  memoryHostState,
  memoryOrderTokens,
  noDoor,
  type AgentPorts,
  type Processes,
} from '@fenceline/agent';
import { makeLogger } from '@fenceline/common';
import { agentRoutes, callRoute, DomainError } from '@fenceline/protocol';
import type { SimHost } from '../world/host.js';
import { bound, clockOf, type Life } from '../world/life.js';
import type { Listeners, Origin } from './connection.js';
import { simDialer } from './dialer.js';
import { simLibvirt, simLibvirtEvents } from './libvirt.js';
import { atHome, startProgram } from './session.js';
import { simSigns } from './signs.js';
import { simTransport } from './transport.js';

/** Simulated hosts let their siblings in by key, and by nothing else. */
const keysOnly: AgentPorts['credentials'] = {
  newKey: () => Promise.reject(new DomainError('NO_SUCH_ROUTE', 'no credentials here')),
  open: () => Promise.reject(new DomainError('REFUSED', 'no credentials here')),
};

/** Every port of one life of an agent on a simulated host. */
export function agentPorts(host: SimHost, life: Life, listeners: Listeners): AgentPorts {
  const { world } = host;
  const clock = clockOf(life, world.clock);
  const origin: Origin = { world, listeners, node: host.name, life };
  const events = simLibvirtEvents(host);
  const dialer = simDialer(origin, host);
  return {
    clock,
    random: world.fork(),
    log: makeLogger((line) => {
      if (!life.isDead) world.trace.log(host.name, line);
    }),
    libvirt: bound(life, libvirtOf(host, life)),
    libvirtEvents: { open: (signal) => life.items(events.open(signal)) },
    ...aroundLibvirt(life),
    processes: bound(life, simProcesses(host)),
    state: bound(life, memoryHostState(host.memory, { diskAnswers: () => host.stateDiskAnswers })),
    host: bound(life, hostView(host)),
    fenceAccess: bound(life, {
      publicKey: async () => host.fenceKey,
      prepareKey: async () => host.prepareFenceKey(),
      switchKey: async (publicKey) => {
        if (!host.switchFenceKey(publicKey)) throw new DomainError('CONFLICT', 'another key');
      },
      install: async (siblings, orders) => {
        host.siblings = [...siblings];
        host.asksForTokens = orders?.orderTokens === true;
      },
    }),
    orderTokens: bound(life, {
      deposit: async (...ask) => memoryOrderTokens(host.memory.run.orderTokens).deposit(...ask),
      held: async () => host.memory.run.orderTokens.size,
    }),
    dialer: bound(life, {
      dial: async (...ask) => {
        const dialed = await dialer.dial(...ask);
        return dialed.ok ? { ...dialed, session: bound(life, dialed.session) } : dialed;
      },
    }),
    // Simulated hosts have no second way in.
    doorDialer: { dial: async () => ({ ok: false, failure: 'refused', stages: [] }) },
    door: noDoor,
    fenceProgram: bound(life, {
      start: async ({ limitMs }) => {
        const session = startProgram(host, atHome, { clock: world.clock, orderTokens: false });
        world.clock.after(limitMs, () => session.close());
        return bound(life, session);
      },
    }),
    credentials: keysOnly,
    echo: bound(life, echoCaller(origin)),
    signs: bound(life, simSigns(origin)),
  };
}

/** Nobody starts a VM by hand here, and no start leaves a record behind: the hook just works. */
function aroundLibvirt(life: Life): Pick<AgentPorts, 'libvirtDaemon' | 'statusFiles' | 'hook'> {
  const { file, lists, caller, probeEveryMs } = memoryHook();
  return {
    libvirtDaemon: bound(life, {
      find: async () => undefined,
      lookAlikes: async () => 0,
      signal: async () => false,
    }),
    statusFiles: bound(life, { read: async () => undefined, remove: async () => undefined }),
    hook: {
      file: bound(life, file),
      lists: bound(life, lists),
      caller: bound(life, caller),
      probeEveryMs,
    },
  };
}

function libvirtOf(host: SimHost, life: Life): AgentPorts['libvirt'] {
  const libvirt = simLibvirt(host, host.world.clock, (listener) => void life.onEnd(listener));
  return {
    ...libvirt,
    prepareStart: async (start) => bound(life, await libvirt.prepareStart(start)),
  };
}

function simProcesses(host: SimHost): Processes {
  return {
    qemus: async () =>
      host.processes.qemus.map(({ args, id, isDying }) => ({
        pid: id.pid,
        startTime: id.startTime,
        vmUuid: args.vmUuid,
        guestName: args.name,
        epoch: args.epoch,
        dying: isDying,
      })),
    startTimeOf: async (pid) => host.processes.startTimeOf(pid),
  };
}

function hostView(host: SimHost): AgentPorts['host'] {
  const addresses = [host.address];
  return {
    boot: async () => ({ bootId: host.bootId, pidNamespace: '4026531836' }),
    facts: async () => ({
      hostname: host.name,
      cpuModel: 'simulated',
      cpuVirtualization: true,
      kvmDevice: true,
      addresses,
      sshHostKeys: [host.sshHostKey],
    }),
    ownAddresses: async () => addresses,
    capacity: async () => ({
      cpus: host.cpus,
      memoryMiB: host.memoryMiB,
      memoryAvailableMiB: host.memoryMiB,
    }),
    load1: async () => 0.1,
  };
}

function echoCaller(origin: Origin): AgentPorts['echo'] {
  return {
    echo: async ({ address, port, nonce }, { limitMs, signal }) => {
      const caller = { role: 'sibling' as const, name: origin.node };
      const transport = simTransport(origin, { address, port, caller });
      const answer = await callRoute(
        { transport, route: agentRoutes.echo, request: { nonce } },
        { deadlineMs: limitMs, signal },
      );
      if (answer.nonce !== nonce) throw new DomainError('REFUSED', 'not an echo of the question');
      return answer.hostUuid;
    },
  };
}
