import type { ProcessStat } from '../vms/parseProcess.js';

/** A process that runs the program of libvirt's daemon. */
export interface LikeDaemon {
  /** Text of `/proc/PID/status`. */
  status: string;
  stat: Pick<ProcessStat, 'comm' | 'flags'>;
}

const FORKED_ONLY = 0x40; // PF_FORKNOEXEC

/**
 * Is it the host's own daemon (root, in our pid namespace), or may it be a child of it that is no
 * qemu yet, or neither: a user's session daemon, or one in a container?
 */
export function whatOfHost({ status, stat }: LikeDaemon): 'daemon' | 'child' | 'neither' {
  const uids = /^Uid:((?:\t\d+){4})$/m.exec(status)?.[1]?.trim().split('\t');
  // safety: F34: whose it is can't be told, so it may be one that becomes a qemu
  if (uids === undefined) return 'child';
  // It has a number in each namespace from ours on; kernels before 4.1 don't tell.
  if (/^NSpid:\t\d+\t/m.test(status)) return 'neither';
  const isNamed = /^(?:libvirtd|virtqemud)$/.test(stat.comm);
  if (uids.includes('0')) return isNamed ? 'daemon' : 'child';
  // safety: F34: a child gives up root before it becomes a qemu, and may wait like that for storage
  return (stat.flags & FORKED_ONLY) !== 0 && !isNamed ? 'child' : 'neither';
}
