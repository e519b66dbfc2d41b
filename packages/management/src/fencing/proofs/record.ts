import type { DiskRef } from '@fenceline/protocol';
import type { Run } from '../../vms/runs/run.js';

/** What somebody who looked on the host reports; the same for a peer and for the host's agent. */
export interface LookRecord {
  hostUuid?: string | undefined;
  bootId?: string | undefined;
  pidNamespace?: string | undefined;
  barrier?: string | undefined;
  disks: readonly { source: string; drained: string }[];
}

const BARRIERS: readonly string[] = ['disk', 'memory'];
const SETTLED: readonly string[] = ['direct', 'synced', 'unmounted'];

/**
 * What is missing for "dead" to be believed, or undefined if nothing is: the right host, a
 * barrier that was set before the look, and every writable disk drained (F21a, F22, F34).
 */
export function gapIn(
  record: LookRecord,
  run: Run,
  vmDisks: readonly Pick<DiskRef, 'source'>[],
): string | undefined {
  if (record.hostUuid !== run.hostUuid)
    return `the answer names host ${record.hostUuid ?? 'none'}, not ${run.hostUuid}`;
  if (record.bootId === undefined || record.bootId === '') return 'the answer names no boot';
  if (record.pidNamespace === undefined || record.pidNamespace === '')
    return 'the answer names no pid namespace';
  // safety: F22: a look from inside a container sees only what is in it.
  const sameBoot = record.bootId === run.bootId;
  if (sameBoot && run.pidNamespace !== null && record.pidNamespace !== run.pidNamespace)
    return `the look was made in pid namespace ${record.pidNamespace}, not the host's`;
  // safety: without a barrier a start may slip in between the look and our start elsewhere.
  if (!BARRIERS.includes(record.barrier ?? '')) return 'no barrier was set';
  // safety: a dead process's last write may still be on its way to a disk that is not drained.
  const open = vmDisks.find((disk) => !isDrained(record, disk.source));
  return open === undefined ? undefined : `disk ${open.source} is not drained`;
}

function isDrained(record: LookRecord, source: string): boolean {
  const reports = record.disks.filter((disk) => disk.source === source);
  return reports.length > 0 && reports.every((disk) => SETTLED.includes(disk.drained));
}

/** The part of a record that is stored with the proof. */
export function recordFacts(record: LookRecord): Record<string, unknown> {
  return {
    hostUuid: record.hostUuid ?? null,
    bootId: record.bootId ?? null,
    pidNamespace: record.pidNamespace ?? null,
    barrier: record.barrier ?? null,
    disks: record.disks.map(({ source, drained }) => ({ source, drained })),
  };
}
