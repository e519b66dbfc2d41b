import { makeKeyedQueue, type Handlers, type Logger } from '@fenceline/common';
import {
  CapacityRsp,
  ConnectHostRsp,
  dashed,
  DomainError,
  EchoRsp,
  FactsRsp,
  FENCELINE_VERSION,
  FenceKeyRsp,
  ok,
  PingRsp,
  PROTOCOL_VERSION,
  type agentRoutes,
  type ConnectHostCmd,
  type FenceKeyCmd,
} from '@fenceline/protocol';
import type { FenceDoor } from '../fence/door/fenceDoor.js';
import type { Libvirt } from '../libvirt/libvirt.js';
import type { HostState } from '../vms/hostState.js';
import type { FenceAccess } from './fenceAccess.js';
import type { HostView } from './hostView.js';

export interface HostRoutePorts {
  state: HostState;
  host: HostView;
  libvirt: Libvirt;
  fenceAccess: FenceAccess;
  door: FenceDoor;
  log: Logger;
  /** New with each start of this program. */
  agentInstance: string;
  /** This host's uuid, without a look at the disk once it is known. */
  hostUuid: () => Promise<string | undefined>;
}

type HostRouteName = 'connect' | 'fenceKey' | 'echo' | 'ping' | 'facts' | 'capacity';

/** The routes about the host itself. */
export function hostRoutes(
  ports: HostRoutePorts,
): Pick<Handlers<typeof agentRoutes>, HostRouteName> {
  const one = makeKeyedQueue(16);
  return {
    connect: (command) => one.run('connect', () => connect(ports, command)),
    fenceKey: (command) => one.run('connect', () => fenceKey(ports, command)),
    echo: async ({ nonce }) => {
      const hostUuid = await ports.hostUuid();
      return ok(EchoRsp, { nonce, ...(hostUuid === undefined ? {} : { hostUuid }) });
    },
    ping: async () => {
      const hostUuid = await ports.hostUuid();
      const { bootId } = await ports.host.boot();
      return ok(PingRsp, {
        agentInstance: ports.agentInstance,
        agentVersion: FENCELINE_VERSION,
        protocolVersion: PROTOCOL_VERSION,
        bootId,
        ...(hostUuid === undefined ? {} : { hostUuid }),
      });
    },
    facts: () => facts(ports),
    capacity: async () => ok(CapacityRsp, await ports.host.capacity()),
  };
}

/** Safe to repeat: the same host uuid again changes nothing but the siblings. */
async function connect(ports: HostRoutePorts, command: ConnectHostCmd): Promise<ConnectHostRsp> {
  const hostUuid = dashed(command.hostUuid);
  const before = await ports.state.identity();
  if (before.hostUuid !== undefined && before.hostUuid !== hostUuid)
    throw new DomainError('CONFLICT', `this host is ${before.hostUuid} already`, {
      hostUuid: before.hostUuid,
      asked: hostUuid,
    });
  const siblings = command.siblings.filter((sibling) => dashed(sibling.hostUuid) !== hostUuid);
  const orderTokens = command.orderTokens ?? false;
  await ports.fenceAccess.install(siblings, { orderTokens });
  await ports.door.want({ orderTokens });
  await ports.state.adopt(hostUuid, command.runs);
  const { seeded } = await ports.state.identity();
  const { serverUuid, serverVersion } = command;
  ports.log.info('connected', {
    ...{ hostUuid, serverUuid, serverVersion, seeded },
    siblings: siblings.length,
  });
  const { bootId } = await ports.host.boot();
  const { addresses, sshHostKeys } = await ports.host.facts();
  return ok(ConnectHostRsp, {
    agentInstance: ports.agentInstance,
    agentVersion: FENCELINE_VERSION,
    bootId,
    fencePublicKey: await ports.fenceAccess.publicKey(),
    sshHostKeys,
    addresses,
    seeded,
    ...(ports.door.port === undefined ? {} : { doorPort: ports.door.port }),
  });
}

/** F29: a new key in two steps, so that the siblings know it before this host uses it. */
async function fenceKey(
  { fenceAccess, log }: HostRoutePorts,
  { step, fencePublicKey }: FenceKeyCmd,
): Promise<FenceKeyRsp> {
  if (step === 'prepare') {
    const nextFencePublicKey = await fenceAccess.prepareKey();
    return ok(FenceKeyRsp, { fencePublicKey: await fenceAccess.publicKey(), nextFencePublicKey });
  }
  if (fencePublicKey === undefined)
    throw new DomainError('BAD_INPUT', 'fencePublicKey: must name the key to switch to');
  await fenceAccess.switchKey(fencePublicKey);
  log.info('uses another fence key', { fencePublicKey });
  return ok(FenceKeyRsp, { fencePublicKey: await fenceAccess.publicKey() });
}

async function facts({ host, libvirt }: HostRoutePorts): Promise<FactsRsp> {
  const [boot, seen, versions] = await Promise.all([host.boot(), host.facts(), libvirt.versions()]);
  return ok(FactsRsp, {
    ...boot,
    ...seen,
    libvirtVersion: versions.libvirt,
    qemuVersion: versions.qemu,
  });
}
