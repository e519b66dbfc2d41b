import { spawnSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import type { Machine } from './result.js';

/** This machine. @param loadBefore the load average when the benchmark began. */
export function machineNow(loadBefore: number): Machine {
  return {
    cpus: cpus().length,
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    versions: {
      node: process.versions.node,
      libvirt: versionIn(['virsh', '--version']),
      qemu: versionIn(['qemu-system-x86_64', '--version']),
      OpenSSH: versionIn(['ssh', '-V']),
    },
    load1: [loadBefore, load1()],
  };
}

/** Load average over one minute. */
export function load1(): number {
  return Math.round((loadavg()[0] ?? 0) * 10) / 10;
}

function versionIn([program = '', ...args]: readonly string[]): string {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 10_000 });
  return /\d+\.\d+(?:\.\d+|p\d+)?/.exec(`${stdout ?? ''}${stderr ?? ''}`)?.[0] ?? 'none';
}
