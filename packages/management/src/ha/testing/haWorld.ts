import { silentLogger } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import {
  agentRoutes,
  DomainError,
  ok,
  TransportError,
  type DestroyVmCmd,
  type FenceVmFromPeerCmd,
  type Route,
  type StartVmCmd,
  type VmSeen,
} from '@fenceline/protocol';
import { makePeerFencing } from '../../fencing/peerFencing.js';
import { makeProveRebooted, type ProveRebooted } from '../../fencing/rebooted.js';
import { ownAgentChannel, makeCloseOnHost } from '../../fencing/channels/ownAgent.js';
import { peerChannel } from '../../fencing/channels/peer.js';
import type { AgentAddress, AgentGateway } from '../../hosts/agentGateway.js';
import type { HostJudgement, HostPresence } from '../../hosts/contracts.js';
import { makeHostDirectory } from '../../hosts/directory.js';
import { makeMessageBus } from '../../messages/bus.js';
import type { HaStartVmInstanceMsg } from '../../messages/types.js';
import { makePlacer } from '../../placement/placer.js';
import { Settings } from '../../settings/settings.js';
import { openMemoryStore } from '../../store/adapters/sqlite.js';
import { makeEvents, type FenceEvent } from '../../telemetry/events.js';
import { makeLedger } from '../../vms/runs/ledger.js';
import { makeVmInventory } from '../../vms/inventory.js';
import { makeOldBoots } from '../../vms/oldBoots.js';
import { makeRunWatch } from '../../vms/runWatch.js';
import { makeHolds } from '../holds.js';
import { makeDispatch } from '../dispatch.js';
import { probeTask } from '../probe.js';
import type { BeforeHaStartVm, HaStartDeps } from '../start/context.js';
import { haStart, type RefusalCount } from '../start/haStart.js';
import { makeTasks, type StepMark } from '../tasks/tasks.js';
import { hostRow, vmRow } from './rows.js';

export { hostUuid, VM } from './rows.js';

/** What a fake host answers; a test changes what it likes. */
export interface FakeHost {
  uuid: string;
  bootId: string;
  up: boolean;
  vms: VmSeen[];
  /** What a destroy on this host answers. */
  destroy: (command: DestroyVmCmd) => object;
  /** What this host answers as a peer. */
  fence: (command: FenceVmFromPeerCmd) => object;
  /** What a start does. */
  start: (command: StartVmCmd) => object;
}

export interface Call {
  hostUuid: string;
  route: string;
  command: object;
}

const DISK = { kind: 'file' as const, source: '/srv/shared/vm1.img' };

/** A cluster of three fake hosts, one VM and the real HA start, on virtual time. */
export async function makeHaWorld(options: { onStep?: (mark: StepMark) => void } = {}) {
  const clock = new VirtualClock();
  const random = seededRandom(11);
  const store = await openMemoryStore();
  const log = silentLogger;
  const events = makeEvents(store, clock, log);
  const seen: FenceEvent[] = [];
  events.listen((event) => seen.push(event));
  const settings = new Settings();
  settings.ha.preFence.channels = ['peer', 'own-agent'];
  const hosts = [1, 2, 3].map((n) => fakeHost(n));
  for (const [i, host] of hosts.entries())
    await store.db
      .insertInto('hosts')
      .values(hostRow(host.uuid, `h${i + 1}`))
      .execute();
  await store.db
    .insertInto('vms')
    .values(vmRow([DISK]))
    .execute();
  const byUuid = (uuid: string): FakeHost => {
    const host = hosts.find((one) => one.uuid === uuid);
    if (host === undefined) throw new Error(`no fake host ${uuid}`);
    return host;
  };
  const calls: Call[] = [];
  const gateway = fakeGateway(byUuid, calls);
  const signs = new Map<string, number>();
  const presence: HostPresence = {
    lastSignOfLifeMs: (uuid) => signs.get(uuid),
    noteSignOfLife: (uuid) => signs.set(uuid, clock.monotonicMs()),
    linkUp: (uuid) => byUuid(uuid).up,
    bootId: (uuid) => byUuid(uuid).bootId,
    lastHeartbeat: () => undefined,
    liveVms: (uuid) =>
      byUuid(uuid).up ? byUuid(uuid).vms.filter((vm) => vm.hasProcess) : undefined,
  };
  const bus = makeMessageBus(clock, log);
  const source = { current: () => settings };
  const directory = makeHostDirectory(store);
  const ledger = makeLedger({ store, clock, random });
  const owner = { serverUuid: 'server', ownerEpoch: 1 };
  const tasks = makeTasks({ store, clock, random, owner, onStep: options.onStep });
  const closeOnHost = makeCloseOnHost({ gateway, directory, settings: source, presence });
  const runWatch = makeRunWatch(clock);
  const proveRebooted = makeProveRebooted({ gateway, directory });
  const found = { store, clock, log, events, ledger, gateway, directory, runWatch, proveRebooted };
  const inventory = makeVmInventory(found);
  const peers = makePeerFencing({
    store,
    directory,
    presence,
    gateway,
    settings: source,
    random,
    events,
    log,
    tokens: {
      take: async () => ({ tokens: [], giveBack: async () => undefined }),
      hold: () => () => undefined,
    },
    lines: { linesTo: () => [] },
    logins: { has: async () => false, sealedFor: async () => undefined },
  });
  bus.handle('FenceVmOnHost', { run: (message) => peers.fence(message) });
  const judgements = new Map<string, HostJudgement>();
  const extensions: BeforeHaStartVm[] = [];
  const judgementOf = (uuid: string) => judgements.get(uuid);
  const holds = makeHolds({ store, clock, directory, settings: source, judgementOf });
  holds.start();
  for (const host of hosts) holds.listed(host.uuid);
  const dispatch = makeDispatch({ tasks, holds, bus, settings: source, clock, log });
  const refusals: RefusalCount = dispatch.refusals;
  const deps: HaStartDeps & { refusals: RefusalCount; proveRebooted: ProveRebooted } = {
    store,
    clock,
    log,
    events,
    settings: source,
    ledger,
    tasks,
    directory,
    presence,
    gateway,
    placer: makePlacer({
      store,
      directory,
      presence,
      power: { unresolved: async () => [] },
      settings: source,
      clock,
    }),
    channels: [
      peerChannel({
        ...{ bus, settings: source, clock, presence },
        orders: peers,
      }),
      ownAgentChannel(closeOnHost),
    ],
    closeOnHost,
    runWatch,
    proveRebooted,
    oldBoots: makeOldBoots({ ledger, inventory, gateway, directory, proveRebooted }),
    extensions,
    judgementOf,
    holds,
    fencing: { began: async () => undefined, refused: async () => undefined },
    refusals,
  };
  bus.handle('HaStartVmInstance', {
    queue: ({ vmUuid }) => `vm:${vmUuid}`,
    run: (message, signal) => haStart(deps, message, signal),
  });
  bus.handle('ProbeHaTask', {
    queue: ({ vmUuid }) => `vm:${vmUuid}`,
    run: async ({ taskId }, signal) => {
      await probeTask(deps, taskId, signal);
      return {};
    },
  });
  return {
    clock,
    store,
    events,
    seen,
    settings,
    hosts,
    calls,
    ledger,
    tasks,
    bus,
    deps,
    dispatch,
    holds,
    presence,
    judgements,
    extensions,
    directory,
    gateway,
    closeOnHost,
    random,
    /** The host dies as the server sees it: no link, no answer, judged to be fenced. */
    judgeDead: (n: number): void => judgeDead(hosts, judgements, n),
    start: (message: Partial<HaStartVmInstanceMsg> = {}) =>
      clock.settle(
        bus.send('HaStartVmInstance', {
          vmUuid: 'a0000000-0000-4000-8000-000000000001',
          reason: 'test',
          siblingHostUuids: [],
          judger: 'host-failure',
          softAvoidHostUuids: [],
          timeoutMs: 600_000,
          ...message,
        }),
      ),
    called: (route: string): Call[] => calls.filter((call) => call.route === route),
  };
}

export type HaWorld = Awaited<ReturnType<typeof makeHaWorld>>;

function judgeDead(hosts: FakeHost[], judgements: Map<string, HostJudgement>, n: number): void {
  const host = hosts[n - 1];
  if (host === undefined) return;
  host.up = false;
  judgements.set(host.uuid, {
    hostUuid: host.uuid,
    row: 'down, nothing answers, no heartbeat',
    action: 'fence',
    channels: ['peer', 'own-agent', 'power'],
    siblingHostUuids: [],
    inputs: {},
    why: 'it is silent',
  });
}

function fakeHost(n: number): FakeHost {
  const uuid = `b0000000-0000-4000-8000-00000000000${n}`;
  const host: FakeHost = {
    uuid,
    bootId: `boot-${n}`,
    up: true,
    vms: [],
    destroy: ({ vmUuid, fenceEpoch }) => ({
      ...answerOf(host),
      highestBegan: fenceEpoch,
      beganKnown: true,
      verdict: { vmUuid, ...deadVerdict() },
    }),
    fence: ({ vmUuid, targetHostUuid }) => ({
      ...answerOf({ uuid: targetHostUuid, bootId: `boot-${targetHostUuid.slice(-1)}` }),
      vmUuid,
      ...deadVerdict(),
    }),
    start: ({ vmUuid, epoch }) => {
      const running = { pid: 100 + epoch, startTime: 5, epoch, state: 'Running' as const };
      host.vms = [{ vmUuid, name: 'vm1', knownToLibvirt: true, hasProcess: true, ...running }];
      return running;
    },
  };
  return host;
}

function answerOf({ uuid, bootId }: { uuid: string; bootId: string }) {
  return {
    hostUuid: uuid,
    bootId,
    pidNamespace: 'pid:[1]',
    stages: [],
    stdoutBytes: 1,
    stderrBytes: 0,
    outputSha256: 'x',
  };
}

/** What a look says that found and killed the qemu. */
export function deadVerdict(change: object = {}) {
  return {
    qemuConfirmedDead: true,
    qemuStillAlive: false,
    targetHostUnreachable: false,
    outcome: 'confirmedDead',
    barrier: 'disk',
    killed: [{ pid: 7, startTime: 8, epoch: 1 }],
    disks: [{ source: DISK.source, drained: 'synced' }],
    otherWriters: [],
    ...change,
  };
}

function fakeGateway(byUuid: (uuid: string) => FakeHost, calls: Call[]): AgentGateway {
  const answer = (host: FakeHost, route: string, command: object): object => {
    switch (route) {
      case agentRoutes.vmStatus.name: {
        const { vmUuid } = command as { vmUuid: string };
        const vm = host.vms.find((one) => one.vmUuid === vmUuid);
        return { ...(vm && { vm }), highestBegan: null, barrierEpoch: null, bootId: host.bootId };
      }
      case agentRoutes.ping.name:
        return {
          ...{ agentInstance: 'a', agentVersion: '0.1.0', protocolVersion: 1 },
          ...{ bootId: host.bootId, hostUuid: host.uuid },
        };
      case agentRoutes.vmDestroy.name:
        return host.destroy(command as DestroyVmCmd);
      case agentRoutes.fenceVm.name:
        return host.fence(command as FenceVmFromPeerCmd);
      case agentRoutes.vmStart.name:
        return host.start(command as StartVmCmd);
      default:
        throw new DomainError('NO_SUCH_ROUTE', route);
    }
  };
  return {
    async call<Req extends object, Rsp extends object>(
      agent: AgentAddress,
      route: Route<Req, Rsp>,
      { command }: { command: Req },
    ): Promise<Rsp> {
      calls.push({ hostUuid: agent.hostUuid, route: route.name, command });
      const host = byUuid(agent.hostUuid);
      await Promise.resolve();
      if (!host.up) throw new TransportError('timeout', 'no answer');
      return ok(route.response as never, answer(host, route.name, command) as never) as Rsp;
    },
    watch: () => {
      throw new Error('not used here');
    },
  };
}
