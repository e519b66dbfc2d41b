import {
  envelopeError,
  identifyByCertificate,
  makeDispatcher,
  silentLogger,
  startHttpServer,
  type Handlers,
  type HttpServer,
  type TlsFiles,
} from '@fenceline/common';
import {
  agentRoutes,
  agentStreams,
  CapacityRsp,
  ConnectHostRsp,
  DestroyVmRsp,
  DomainError,
  EchoRsp,
  FactsRsp,
  FENCELINE_VERSION,
  FenceLinesRsp,
  FenceVmFromPeerRsp,
  FenceVmsFromPeerRsp,
  ok,
  OrderTokensRsp,
  PingRsp,
  PROTOCOL_VERSION,
  ScanHostRsp,
  StartVmRsp,
  VmDomainRsp,
  VmStatusRsp,
  VmSyncRsp,
  type FenceVm,
} from '@fenceline/protocol';
import { DISK, VM_NAME, VM_UUID, type Closed, type FakeHost } from './fakeHost.js';

/** What happens to the next start command on its way, whoever is asked. */
export type StartFate = 'arrives' | 'answerLost' | 'neverArrived' | 'held';

/** All hosts of one case, and what the test does to them. */
export interface FakeSite {
  readonly hosts: readonly FakeHost[];
  startFate: StartFate;
  /** Called when a peer is asked to fence, and when a start came in, before anything is done. */
  onFence: () => Promise<void>;
  onStart: () => Promise<void>;
}

type AgentHandlers = Handlers<typeof agentRoutes & typeof agentStreams>;

/** The agent of a host: real express, mutual TLS, the routes of the protocol. */
export function serveAgent(site: FakeSite, host: FakeHost, tls: TlsFiles): Promise<HttpServer> {
  const handlers = { ...hostHandlers(host), ...vmHandlers(site, host), ...fenceHandlers(site) };
  return startHttpServer({
    listen: { address: host.address, port: 0 },
    tls,
    clientCertificates: 'required',
    identify: identifyByCertificate,
    dispatcher: makeDispatcher({ ...agentRoutes, ...agentStreams }, handlers, {
      log: silentLogger,
      errorBody: envelopeError,
    }),
    streamFormat: 'ndjson',
    errorBody: envelopeError,
    log: silentLogger,
    mount: (app) => {
      app.use(agentRoutes.vmStart.path, (request, response, next) => {
        const fate = site.startFate;
        site.startFate = 'arrives';
        host.holdNextStart = fate === 'held';
        if (fate === 'neverArrived') request.socket.destroy();
        else next();
        if (fate === 'answerLost')
          response.json = () => {
            request.socket.destroy();
            return response;
          };
      });
    },
  });
}

type HostRoutes =
  'fenceLines' | 'orderTokens' | 'connect' | 'echo' | 'ping' | 'facts' | 'capacity' | 'watch';

function hostHandlers(host: FakeHost): Pick<AgentHandlers, HostRoutes> {
  const { bootId, agentInstance } = host;
  const identity = { agentInstance, agentVersion: FENCELINE_VERSION, bootId };
  const key = (of: string): string =>
    `ssh-ed25519 ${Buffer.from(`${of} of ${host.name}`.padEnd(51, '.')).toString('base64')}`;
  const sshHostKeys = [key('host key')];
  const uuid = (): { hostUuid?: string } =>
    host.hostUuid === undefined ? {} : { hostUuid: host.hostUuid };
  return {
    connect: async (command) => {
      host.hostUuid ??= command.hostUuid;
      if (host.hostUuid !== command.hostUuid)
        throw new DomainError('CONFLICT', `this host is ${host.hostUuid}`);
      const addresses = [host.address];
      const fencePublicKey = key('fence key');
      return ok(ConnectHostRsp, {
        ...{ ...identity, addresses, sshHostKeys, fencePublicKey },
        seeded: true,
      });
    },
    fenceLines: async () => ok(FenceLinesRsp, { lines: [] }),
    orderTokens: async ({ tokens }) => ok(OrderTokensRsp, { held: tokens.length }),
    echo: async ({ nonce }) => ok(EchoRsp, { nonce, ...uuid() }),
    ping: async () => ok(PingRsp, { ...identity, protocolVersion: PROTOCOL_VERSION, ...uuid() }),
    facts: async () =>
      ok(FactsRsp, {
        ...{ hostname: host.name, bootId, pidNamespace: 'pid:[1]', cpuModel: 'fake' },
        ...{ libvirtVersion: '9.0.0', qemuVersion: '7.2.0', kvmDevice: true },
        ...{ addresses: [host.address], sshHostKeys },
      }),
    capacity: async () =>
      ok(CapacityRsp, { cpus: 8, memoryMiB: 16_384, memoryAvailableMiB: 16_384 }),
    watch: ({ heartbeatEveryMs = 1_000 }, { signal }) => host.watch(heartbeatEveryMs, signal),
  };
}

type VmRoutes = 'vmSync' | 'vmStart' | 'vmDestroy' | 'vmStatus' | 'vmDomain';

function vmHandlers(site: FakeSite, host: FakeHost): Pick<AgentHandlers, VmRoutes> {
  const { bootId } = host;
  const seen = () => host.seen();
  return {
    vmSync: async () => {
      const vm = seen();
      const vms = vm === undefined ? [] : [vm];
      return ok(VmSyncRsp, { vms, libvirtAnswered: true, bootId, unattributed: 0 });
    },
    vmStart: async (command) => {
      await site.onStart();
      await host.start(command);
      const { state = 'Stopped', epoch = null, pid = null, startTime = null } = seen() ?? {};
      return ok(StartVmRsp, { state, epoch, pid, startTime });
    },
    vmDestroy: async ({ vmUuid, fenceEpoch, disks }) => {
      const closed = await host.close(fenceEpoch);
      const verdict = verdictOf(closed, { vmUuid, fenceEpoch, disks });
      const began = { highestBegan: host.highestBegan, beganKnown: true };
      return ok(DestroyVmRsp, { ...answerOf(host), verdict, ...began });
    },
    vmStatus: async () => {
      const vm = seen();
      const { highestBegan, barrier: barrierEpoch } = host;
      return ok(VmStatusRsp, { ...(vm && { vm }), highestBegan, barrierEpoch, bootId });
    },
    vmDomain: async () => {
      const disks = [{ kind: 'file' as const, source: DISK }];
      const domainXml = `<domain type="kvm"><name>${VM_NAME}</name><uuid>${VM_UUID}</uuid></domain>`;
      return ok(VmDomainRsp, { name: VM_NAME, memoryMiB: 512, cpus: 1, disks, domainXml });
    },
  };
}

type FenceRoutes = 'fenceVm' | 'fenceVms' | 'scanHost';

/** What this agent does to, and sees of, another host of the site. */
function fenceHandlers(site: FakeSite): Pick<AgentHandlers, FenceRoutes> {
  const find = (uuid: string): FakeHost => {
    const host = site.hosts.find(({ hostUuid }) => hostUuid === uuid);
    if (host === undefined) throw new DomainError('NOT_FOUND', `no host ${uuid}`);
    return host;
  };
  return {
    fenceVm: async ({ targetHostUuid, vmUuid, fenceEpoch, disks }) => {
      await site.onFence();
      const suspect = find(targetHostUuid);
      const verdict = verdictOf(await suspect.close(fenceEpoch), { vmUuid, fenceEpoch, disks });
      return ok(FenceVmFromPeerRsp, { ...answerOf(suspect), ...verdict });
    },
    fenceVms: async ({ targetHostUuid, vms }) => {
      await site.onFence();
      const suspect = find(targetHostUuid);
      const verdicts = [];
      for (const vm of vms) verdicts.push(verdictOf(await suspect.close(vm.fenceEpoch), vm));
      return ok(FenceVmsFromPeerRsp, { ...answerOf(suspect), verdicts });
    },
    scanHost: async ({ targetHostUuid }) => {
      const { agentUp } = find(targetHostUuid);
      const level = agentUp ? ('agent' as const) : ('kernel' as const);
      return ok(ScanHostRsp, { level, unstable: false, signsOfLife: ['tcp:22 banner'] });
    },
  };
}

function answerOf({ hostUuid, bootId }: FakeHost) {
  const output = { stdoutBytes: 0, stderrBytes: 0, outputSha256: '' };
  return { ...(hostUuid && { hostUuid }), bootId, pidNamespace: 'pid:[1]', stages: [], ...output };
}

function verdictOf({ outcome, killed }: Closed, { vmUuid, disks }: FenceVm) {
  const alive = outcome === 'stillAlive';
  const drained = alive ? ('no' as const) : ('synced' as const);
  return {
    ...{ vmUuid, outcome, killed, otherWriters: [], barrier: 'disk' as const },
    ...{ qemuConfirmedDead: !alive, qemuStillAlive: alive, targetHostUnreachable: false },
    disks: disks.map(({ source }) => ({ source, drained })),
  };
}
