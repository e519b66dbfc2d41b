import { MAX_HOST_KEY_CHARS } from '@fenceline/protocol';

/** Model and flags from `/proc/cpuinfo`. */
export function parseCpuInfo(text: string): { cpuModel: string; cpuVirtualization: boolean } {
  const model = /^(?:model name|Model|cpu model)\s*:\s*(.+)$/m.exec(text)?.[1]?.trim() ?? '';
  const flags = /^flags\s*:\s*(.+)$/m.exec(text)?.[1]?.split(' ') ?? [];
  return {
    cpuModel: model.slice(0, 256),
    cpuVirtualization: flags.includes('vmx') || flags.includes('svm'),
  };
}

/** Whole MiB from `/proc/meminfo`. @throws Error if a line is missing. */
export function parseMemInfo(text: string): { memoryMiB: number; memoryAvailableMiB: number } {
  return {
    memoryMiB: Math.max(1, mebibytes(text, 'MemTotal')),
    memoryAvailableMiB: mebibytes(text, 'MemAvailable'),
  };
}

function mebibytes(text: string, name: string): number {
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  if (kibibytes === undefined) throw new Error(`/proc/meminfo has no ${name}`);
  return Math.floor(Number(kibibytes) / 1_024);
}

/** `type base64` from the text of a `ssh_host_*_key.pub`; undefined if none that others can be sent. */
export function parseHostKey(text: string): string | undefined {
  const found = /^((?:ssh|ecdsa|sk)-[a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})(?:\s|$)/.exec(text.trim());
  const key = found === null ? undefined : `${found[1]} ${found[2]}`;
  return key !== undefined && key.length <= MAX_HOST_KEY_CHARS ? key : undefined;
}

/** The number of `pid:[4026531836]`. */
export function parseNamespace(link: string): string {
  return /\[(\d+)\]/.exec(link)?.[1] ?? link;
}

/** One network address of this machine. */
export interface InterfaceAddress {
  address: string;
  internal: boolean;
}

/** Addresses that others can use: no loopback, no IPv6 link-local (it needs a zone). */
export function reachableAddresses(all: readonly InterfaceAddress[]): string[] {
  const usable = all.filter(
    ({ address, internal }) => !internal && !/^fe[89ab]/i.test(address) && !address.includes('%'),
  );
  return [...new Set(usable.map(({ address }) => address))].slice(0, 16);
}
