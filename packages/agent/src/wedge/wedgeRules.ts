import { dashed } from '@fenceline/protocol';

/** libvirt's own record of a VM that it takes for running, `/run/libvirt/qemu/NAME.xml`. */
export interface StatusFile {
  text: string;
  /** Since it was written, milliseconds. */
  ageMs: number;
  /** Another file, or the same one written anew, has another one. */
  version: string;
}

export interface WedgeFacts {
  vmUuid: string;
  name: string;
  file: StatusFile | undefined;
  /** Age of libvirt's daemon, milliseconds; undefined: none runs. */
  daemonAgeMs: number | undefined;
  /** Processes that run the daemon's program and are not the daemon. */
  lookAlikes: number;
  qemus: readonly { vmUuid: string | undefined; guestName: string | undefined }[];
  /** A start of this VM by this agent is under way. */
  startUnderWay: boolean;
}

/**
 * A start that was cut off with libvirt's daemon leaves a record of a VM that is "starting up"
 * without a process, for ever. True only if nothing can be behind it: no qemu, no process that may
 * become one, and a daemon that found the record when it began and so has no such start itself.
 */
export function isWedged(facts: WedgeFacts): boolean {
  const { vmUuid, name, file, daemonAgeMs, qemus } = facts;
  if (file === undefined || daemonAgeMs === undefined) return false;
  const status = /<domstatus\b[^>]*>/.exec(file.text)?.[0] ?? '';
  const startsUp = /\sreason=['"]starting up['"]/.test(status) && /\spid=['"]0['"]/.test(status);
  const uuid = /<uuid>([0-9a-f-]{36})<\/uuid>/.exec(file.text)?.[1];
  // safety: F34: the record of a VM that lives must not be lost: libvirt would start it again
  if (!startsUp || uuid === undefined || dashed(uuid) !== vmUuid) return false;
  const mayBeIts = (qemu: WedgeFacts['qemus'][number]): boolean =>
    qemu.vmUuid === vmUuid || qemu.guestName === name || qemu.vmUuid === undefined;
  if (qemus.some(mayBeIts) || facts.lookAlikes > 0 || facts.startUnderWay) return false;
  return file.ageMs > daemonAgeMs;
}
