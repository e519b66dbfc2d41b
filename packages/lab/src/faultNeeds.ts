import { readFileSync } from 'node:fs';
import { cgroupLayout, type CgroupLayout } from './cgroups.js';
import { parseFault } from './plan/faults.js';

/**
 * Why no host of this machine can suffer from a fault, as typed; undefined: it can. Tests that need
 * one are left out where it can't be had, and say so.
 */
export function whyNoFault(fault: string, layout = machineLayout()): string | undefined {
  const { kind } = parseFault(fault.split(' '));
  // Control groups of version 2 always kill somebody when their memory is used up.
  if (kind !== 'memory' || layout.v1.memory !== undefined) return undefined;
  return 'this machine has no control group of version 1 for memory, so no host can be out of it';
}

function machineLayout(): CgroupLayout {
  return cgroupLayout(readFileSync('/proc/mounts', 'utf8'));
}
