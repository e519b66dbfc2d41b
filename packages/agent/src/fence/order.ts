import type { Secret } from '@fenceline/common';
import { dashed, DomainError, MAX_VMS_PER_FENCE, type FenceVm } from '@fenceline/protocol';

/** Version of the fence program protocol that is spoken here; others are refused. */
export const PROGRAM_PROTOCOL = 1;
/** First line of the program. */
export const PROGRAM_GREETING = `fenceline-fence ${PROGRAM_PROTOCOL}`;
/** The program's first line: this version of the protocol, then words that may be unknown here. */
export function isGreeting(line: string): boolean {
  return line === PROGRAM_GREETING || line.startsWith(`${PROGRAM_GREETING} `);
}
/** First line of the peer. */
export const PEER_GREETING = `fenceline-peer ${PROGRAM_PROTOCOL}`;

/** One session of this program may carry several orders, one after the other (F27). */
export function takesManyOrders(greeting: string): boolean {
  return isGreeting(greeting) && greeting.split(' ').includes('line=1');
}

/** What the program is asked to do: close these runs, or (`count`) only look for them. */
export interface FenceOrder {
  mode: 'fence' | 'count';
  /** Lower-case hex, 16 to 64 digits; the last line of the answer echoes it (F22). */
  nonce: string;
  /** The suspect; a program on another host refuses before it touches anything. */
  hostUuid: string;
  /** Milliseconds after which the program has stopped everything it started (F25). */
  deadlineMs: number;
  /** Milliseconds between `virsh destroy` and SIGKILL. */
  killGraceMs: number;
  vms: readonly FenceVm[];
  /** Lets the order through where one is asked for (F29a); absent: none was given. */
  token?: Secret | undefined;
}

/** A whole session of one order. @throws DomainError BAD_INPUT for what the program would refuse. */
export function encodeOrder(order: FenceOrder): string[] {
  return [PEER_GREETING, ...encodeBareOrder(order)];
}

/**
 * The order as lines, without a greeting; ids and sources are data and never reach a shell (F18).
 * @throws DomainError BAD_INPUT for what the program would refuse.
 */
export function encodeBareOrder(order: FenceOrder): string[] {
  const uuids = new Set(order.vms.map((vm) => dashed(vm.vmUuid)));
  if (uuids.size !== order.vms.length)
    throw new DomainError('BAD_INPUT', 'vms: the same VM is named twice');
  if (uuids.size === 0 || uuids.size > MAX_VMS_PER_FENCE)
    throw new DomainError('BAD_INPUT', `vms: 1 to ${MAX_VMS_PER_FENCE} VMs are needed`);
  const head =
    `${order.mode} ${order.nonce} token=${order.token?.reveal() ?? '-'} deadline_ms=${Math.floor(order.deadlineMs)}` +
    ` vms=${order.vms.length} grace_ms=${Math.floor(order.killGraceMs)}` +
    ` host=${dashed(order.hostUuid)}`;
  return [head, ...order.vms.map(vmLine)];
}

function vmLine(vm: FenceVm): string {
  const disks = new Set(vm.disks.map((disk) => `${disk.kind}:${encodeSource(disk.source)}`));
  const words = [...disks].map((disk) => ` disk=${disk}`).join('');
  return `vm ${dashed(vm.vmUuid)} epoch=${vm.fenceEpoch}${words}`;
}

const PLAIN = /[A-Za-z0-9._~/@+,:=-]/;

/** A source as it travels: UTF-8, percent-encoded. @throws DomainError BAD_INPUT if it can't be a file's name. */
export function encodeSource(source: string): string {
  if (source === '' || hasControlCharacter(source))
    throw new DomainError('BAD_INPUT', 'disks: a source is empty or has control characters');
  return [...new TextEncoder().encode(source)].map(encodeByte).join('');
}

function hasControlCharacter(text: string): boolean {
  return Array.from(text).some((char) => char < ' ' || char === '\u007F');
}

function encodeByte(byte: number): string {
  const char = String.fromCharCode(byte);
  return byte < 0x80 && PLAIN.test(char)
    ? char
    : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** Undoes `encodeSource`; undefined for what it would not have written. */
export function decodeSource(text: string): string | undefined {
  try {
    const source = decodeURIComponent(text);
    return source === '' || hasControlCharacter(source) ? undefined : source;
  } catch {
    return undefined;
  }
}
