import { dashed, type DiskKind, type ProtectedVm } from '@fenceline/protocol';
import { decodeSource, encodeSource } from '../fence/order.js';

const HEAD = 'fenceline-protected 1';

/**
 * The list as the hook reads it: every VM once, in order of uuid, and an end that counts them, so
 * that half a list is known to be one.
 * @throws DomainError BAD_INPUT for a source that can't be a disk's name.
 */
export function renderList(vms: readonly ProtectedVm[]): string {
  const sources = new Map<string, Set<string>>();
  for (const { vmUuid, disks } of vms) {
    const known = sources.get(dashed(vmUuid)) ?? new Set<string>();
    for (const { kind, source } of disks) known.add(`disk ${hookKind(kind)}:${encoded(source)}`);
    sources.set(dashed(vmUuid), known);
  }
  const uuids = [...sources.keys()].toSorted();
  const lines = uuids.flatMap((uuid) => [`vm ${uuid}`, ...(sources.get(uuid) ?? [])]);
  return [HEAD, ...lines, `end ${uuids.length}`, ''].join('\n');
}

/** How a disk is written makes no difference to its name, and the hook knows names. */
function hookKind(kind: DiskKind): string {
  return kind.replace('uring-', '');
}

/** Capital digits are for the wire; the hook reads small ones. */
function encoded(source: string): string {
  return encodeSource(source).replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
}

/** How many VMs a list names; undefined if it is not whole. */
export function countOfList(text: string): number | undefined {
  const lines = text.split('\n');
  const count = lines.filter((line) => line.startsWith('vm ')).length;
  const rest = lines.slice(1, -2);
  const known = /^(?:vm [0-9a-f-]{36}|disk (?:file|block|rbd|network):\S+)$/;
  const whole =
    lines[0] === HEAD &&
    lines.at(-2) === `end ${count}` &&
    lines.at(-1) === '' &&
    rest.every((line) => known.test(line) && decodable(line));
  return whole ? count : undefined;
}

function decodable(line: string): boolean {
  return !line.startsWith('disk ') || decodeSource(line) !== undefined;
}
