import { UsageError } from '../labError.js';

/** `sw`: switch and storage server; `mgr`: where the management server runs; `hN`: KVM hosts. */
export type NodeName = 'sw' | 'mgr' | `h${number}`;
export type HostName = `h${number}`;
export type NetName = 'management' | 'storage';

export const maxHosts = 64;
export const storagePort = 2049;

/** The bridge in `sw`, and the device inside a node, of each net. */
export const bridgeOf: Record<NetName, string> = { management: 'brm', storage: 'brs' };
export const deviceOf: Record<NetName, string> = { management: 'mgmt', storage: 'stor' };
const netNumber: Record<NetName, number> = { management: 1, storage: 2 };

/** @throws UsageError if there is no such host in any lab. */
export function hostName(text: string): HostName {
  const match = /^h([1-9]\d?)$/.exec(text);
  if (match && Number(match[1]) <= maxHosts) return text as HostName;
  throw new UsageError(`'${text}' is no lab host. Hosts are called h1, h2 … h${maxHosts}.`);
}

export function nodeName(text: string): NodeName {
  return text === 'mgr' || text === 'sw' ? text : hostName(text);
}

export function hostNumber(host: HostName): number {
  return Number(host.slice(1));
}

export function hostNames(count: number): HostName[] {
  return Array.from({ length: count }, (_, i) => `h${i + 1}` as const);
}

/** The last byte of a node's addresses: sw 1, mgr 2, hN 10 + N. */
function lastByte(node: NodeName): number {
  if (node === 'sw') return 1;
  return node === 'mgr' ? 2 : 10 + hostNumber(node);
}

export function addressOf(node: NodeName, net: NetName): string {
  return `10.77.${netNumber[net]}.${lastByte(node)}`;
}

/**
 * Fixed for a node, also over its reboots: with a new one the neighbours' ARP tables point to the
 * old one and the host seems dead for up to 30 s.
 */
export function macOf(node: NodeName, net: NetName): string {
  const hex = lastByte(node).toString(16).padStart(2, '0');
  return `52:54:4d:00:0${netNumber[net]}:${hex}`;
}

/** The device in `sw` that leads to a node; at most 15 characters. */
export function portOf(node: NodeName, net: NetName): string {
  return `${node}-${net === 'management' ? 'm' : 's'}`;
}

/** A name of a VM, disk or service: safe as a file name and in XML. */
export function plainName(text: string, what: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text)) return text;
  throw new UsageError(`'${text}' cannot be the name of a ${what}: use letters, digits, - _ and .`);
}
