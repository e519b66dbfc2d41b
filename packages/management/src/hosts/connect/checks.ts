import { DomainError, PROTOCOL_VERSION, type FactsRsp, type PingRsp } from '@fenceline/protocol';
import type { Host } from '../host.js';

/** @throws DomainError CONFLICT if server and agent don't speak the same protocol. */
export function checkProtocol(
  host: Pick<Host, 'name'>,
  { protocolVersion, agentVersion }: Pick<PingRsp, 'protocolVersion' | 'agentVersion'>,
): void {
  if (protocolVersion === PROTOCOL_VERSION) return;
  const older = protocolVersion < PROTOCOL_VERSION;
  throw new DomainError(
    'CONFLICT',
    `the agent of ${host.name} (version ${agentVersion}) is too ${older ? 'old' : 'new'}: it ` +
      `speaks protocol ${protocolVersion}, this server ${PROTOCOL_VERSION}; upgrade ` +
      (older ? 'fenceline-agent on that host' : 'this server'),
    { protocolVersion, serverProtocolVersion: PROTOCOL_VERSION, agentVersion },
  );
}

/** @throws DomainError CONFLICT if another host answers at this address. */
export function checkIdentity(
  host: Pick<Host, 'name' | 'uuid'>,
  seenHostUuid: string | undefined,
): void {
  if (seenHostUuid === undefined || seenHostUuid === host.uuid) return;
  throw new DomainError(
    'CONFLICT',
    `another host answers at the address of ${host.name}: it says that it is ${seenHostUuid}; ` +
      'correct the address, or remove the host there first',
    { expected: host.uuid, seen: seenHostUuid },
  );
}

/** C2. @throws DomainError CONFLICT if guests can't run by KVM there and emulation isn't allowed. */
export function checkVirtualization(
  host: Pick<Host, 'name'>,
  facts: Pick<FactsRsp, 'cpuVirtualization' | 'kvmDevice'>,
  allowEmulation: boolean,
): void {
  if (facts.cpuVirtualization || facts.kvmDevice || allowEmulation) return;
  throw new DomainError(
    'CONFLICT',
    `${host.name} can't run KVM guests: its CPU shows neither vmx nor svm and there is no ` +
      '/dev/kvm; turn virtualization on in its firmware, or set host.allowEmulation',
    { cpuVirtualization: false, kvmDevice: false },
  );
}

/** @throws DomainError CONFLICT if the host rebooted between two steps of its connect. */
export function checkSameBoot(host: Pick<Host, 'name'>, before: string, now: string): void {
  if (before === now) return;
  throw new DomainError(
    'CONFLICT',
    `${host.name} rebooted while it was being connected; it will be tried again`,
    { before, now },
  );
}

/** C7. @throws DomainError CONFLICT if nothing would be left for VMs. */
export function checkCapacity(
  host: Pick<Host, 'name'>,
  capacity: { cpus: number; memoryMiB: number },
  reserve: { memoryMiB: number; cpuPercent: number },
): void {
  const left = capacity.memoryMiB - reserve.memoryMiB;
  if (left <= 0)
    throw new DomainError(
      'CONFLICT',
      `${host.name} has ${capacity.memoryMiB} MiB of memory, not more than the reserve of ` +
        `${reserve.memoryMiB} MiB (host.reserveMemoryMiB)`,
      { ...capacity, reserveMemoryMiB: reserve.memoryMiB },
    );
  if (capacity.cpus * (100 - reserve.cpuPercent) <= 0)
    throw new DomainError(
      'CONFLICT',
      `${host.name}: host.reserveCpuPercent (${reserve.cpuPercent}) leaves no CPU for VMs`,
      { ...capacity, reserveCpuPercent: reserve.cpuPercent },
    );
}
