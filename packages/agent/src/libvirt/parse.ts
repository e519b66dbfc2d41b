import { dashed, DomainError, isUuid, type VmState } from '@fenceline/protocol';
import type { DomainEvent, LibvirtDomain } from './libvirt.js';

/** Reads `virsh list --all --uuid --name`: one `UUID NAME` per line; names may hold spaces. */
export function parseNames(text: string): { vmUuid: string; name: string }[] {
  return text.split('\n').flatMap((line) => {
    const found = /^\s*([0-9a-f-]{36})\s+(.*\S)\s*$/.exec(line);
    const [, vmUuid = '', name = ''] = found ?? [];
    return isUuid(vmUuid) ? [{ vmUuid: dashed(vmUuid), name }] : [];
  });
}

/** Reads `virsh domstats --state`: state by domain name. */
export function parseStates(text: string): Map<string, VmState> {
  const states = new Map<string, VmState>();
  let name: string | undefined;
  let state = 0;
  for (const line of text.split('\n')) {
    const domain = /^Domain: '(.*)'$/.exec(line);
    const field = /^\s+state\.(state|reason)=(\d+)$/.exec(line);
    if (domain !== null) {
      name = domain[1];
      state = 0;
    } else if (field !== null && name !== undefined) {
      if (field[1] === 'state') state = Number(field[2]);
      states.set(name, vmState(state, field[1] === 'reason' ? Number(field[2]) : 0));
    }
  }
  return states;
}

/** The two lists of one `virsh` call as domains; one without a state was gone in between. */
export function parseDomains(text: string): LibvirtDomain[] {
  const states = parseStates(text);
  return parseNames(text).flatMap(({ vmUuid, name }) => {
    const state = states.get(name);
    return state === undefined ? [] : [{ vmUuid, name, state }];
  });
}

const STATES: readonly VmState[] = [
  'Unknown', // no state
  'Running',
  'Running', // blocked on a resource: a Xen word
  'Paused',
  'Stopping', // the guest is shutting down
  'Stopped',
  'Crashed',
  'Paused', // suspended by the guest's power management
];
const PAUSED_MIGRATION = 2;
const PAUSED_STARTING_UP = 11;
const SHUT_OFF_CRASHED = 3;

/** libvirt's numbers (virDomainState and its reasons) in our words. */
export function vmState(state: number, reason: number): VmState {
  const known = STATES[state] ?? 'Unknown';
  if (state === 3 && reason === PAUSED_STARTING_UP) return 'Starting';
  if (state === 3 && reason === PAUSED_MIGRATION) return 'Migrating';
  if (state === 5 && reason === SHUT_OFF_CRASHED) return 'Crashed';
  return known;
}

/** One line of `virsh event --all --loop`; undefined for kinds that don't change a VM's state. */
export function parseEvent(line: string): DomainEvent | undefined {
  const lifecycle = /^event 'lifecycle' for domain '(.*)': (\S.*)$/.exec(line);
  if (lifecycle !== null) return { domainName: lifecycle[1] ?? '', what: lifecycle[2] ?? '' };
  const ioError = /^event 'io-error' for domain '([^']*)':/.exec(line);
  return ioError === null ? undefined : { domainName: ioError[1] ?? '', what: 'io-error' };
}

/** Reads `virsh version`. */
export function parseVersions(text: string): { libvirt: string; qemu: string } {
  const read = (pattern: RegExp): string => pattern.exec(text)?.[1]?.trim() ?? '';
  return {
    libvirt: read(/^Using library: libvirt (.+)$/m),
    qemu: read(/^Running hypervisor: \S+ (.+)$/m),
  };
}

/**
 * virsh ended without libvirt's answer: its connection broke or was given up. What it had asked
 * for may still be done.
 */
export function connectionLost(stderr: string): boolean {
  const lost =
    /Disconnected from|keepalive timeout|client socket is closed|Cannot \w+ data|End of file while/;
  return lost.test(stderr);
}

/** What virsh wrote when it failed, as an error with a code. */
export function libvirtFailure(doing: string, stderr: string): DomainError {
  const said = stderr.trim().slice(0, 2_000);
  // F40: a refused image lock is a sign of life of another writer; the path goes into the facts.
  if (/Failed to get "write" lock/.test(said)) {
    const path = /Is another process using the image \[(.+?)\]/.exec(said)?.[1] ?? '';
    return new DomainError(
      'IMAGE_LOCKED',
      `${doing}: another process holds the write lock of an image${path === '' ? '' : ` (${path})`}`,
      { path },
    );
  }
  if (/failed to get domain|[Dd]omain not found|no domain with matching/.test(said))
    return new DomainError('NOT_FOUND', `${doing}: libvirt knows no such VM`);
  const why = said.replaceAll(/^error:\s*/gm, '').replaceAll(/\s*\n\s*/g, '; ');
  return new DomainError('LIBVIRT_FAILED', `${doing}: ${why === '' ? 'no reason given' : why}`);
}
