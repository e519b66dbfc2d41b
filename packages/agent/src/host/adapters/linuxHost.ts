import { constants } from 'node:fs';
import { open, readdir, readFile, readlink } from 'node:fs/promises';
import { availableParallelism, hostname, loadavg, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { MAX_HOST_KEYS } from '@fenceline/protocol';
import type { BootIdentity, HostFacts, HostView } from '../hostView.js';
import {
  parseCpuInfo,
  parseHostKey,
  parseMemInfo,
  parseNamespace,
  reachableAddresses,
  type InterfaceAddress,
} from '../parseHost.js';

export interface LinuxHostOptions {
  /** Directory of the sshd's host keys. */
  sshKeyDir: string;
  /** Addresses to tell others; empty: all of the machine's own. */
  addresses: readonly string[];
}

/** This machine, from `/proc` and the network interfaces. */
export function linuxHost(options: LinuxHostOptions): HostView {
  let boot: BootIdentity | undefined;
  return {
    boot: async () => {
      boot ??= {
        bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
        pidNamespace: parseNamespace(await readlink('/proc/self/ns/pid')),
      };
      return boot;
    },
    facts: () => facts(options),
    ownAddresses: async () => [
      ...new Set([...options.addresses, ...interfaceAddresses().map(({ address }) => address)]),
    ],
    capacity: async () => ({
      cpus: availableParallelism(),
      ...parseMemInfo(await readFile('/proc/meminfo', 'utf8')),
    }),
    // A plain system call: a heartbeat must not wait for threads that hang in a file system.
    load1: async () => loadavg()[0] ?? 0,
  };
}

async function facts({ sshKeyDir, addresses }: LinuxHostOptions): Promise<HostFacts> {
  return {
    hostname: hostname(),
    ...parseCpuInfo(await readFile('/proc/cpuinfo', 'utf8')),
    kvmDevice: await opens('/dev/kvm'),
    addresses: addresses.length > 0 ? [...addresses] : reachableAddresses(interfaceAddresses()),
    sshHostKeys: await hostKeys(sshKeyDir),
  };
}

function interfaceAddresses(): InterfaceAddress[] {
  return Object.values(networkInterfaces()).flatMap((list) => list ?? []);
}

async function opens(path: string): Promise<boolean> {
  try {
    const file = await open(path, constants.O_RDWR);
    await file.close();
    return true;
  } catch {
    return false;
  }
}

async function hostKeys(dir: string): Promise<string[]> {
  const names = (await readdir(dir)).filter((name) => /^ssh_host_.+_key\.pub$/.test(name));
  const texts = await Promise.all(names.sort().map((name) => readFile(join(dir, name), 'utf8')));
  const keys = texts.map(parseHostKey).filter((key) => key !== undefined);
  return keys.slice(0, MAX_HOST_KEYS);
}
