import type { VmState } from '@fenceline/protocol';

/** A domain as libvirt tells it. What libvirt says is a report, never a proof (fencing F19). */
export interface LibvirtDomain {
  vmUuid: string;
  name: string;
  state: VmState;
}

/** What an event says happened; the truth is looked up afterwards. */
export interface DomainEvent {
  domainName: string;
  /** `Started Booted`, `Stopped Crashed`, `io-error` … as libvirt words it. */
  what: string;
}

/**
 * What is known about a start whose process has ended. `resolved`: it was never let go, or libvirt
 * has answered. `unresolved`: nobody heard an answer, and libvirt's daemon runs what waits in its
 * queue even if the process that asked is gone (F34).
 */
export type StartEnd = 'resolved' | 'unresolved';

/** A start that waits for its go: the process exists, nothing has been asked of libvirt yet. */
export interface PendingStart {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat. */
  readonly startTime: number;
  /**
   * Lets it go and waits until libvirt has answered. If this program dies before the go, the start
   * never happens.
   * @throws DomainError IMAGE_LOCKED with `path`, LIBVIRT_FAILED, TIMED_OUT (libvirt may still be
   * at it).
   */
  go(timeoutMs: number): Promise<void>;
  /** Ends the process if it has not ended; settles when it is gone, and says how the start ended. */
  abandon(): Promise<StartEnd>;
}

/** Urgent work has a lane of its own, so that a hung look never delays a fence or a stop. */
export type Lane = 'look' | 'urgent';

/**
 * libvirt on this host. Every method settles within a time limit of its own, also if libvirt
 * hangs; a hung call holds up no call of another lane.
 * @throws DomainError LIBVIRT_FAILED or TIMED_OUT from every method.
 */
export interface Libvirt {
  /** All domains, running or not. */
  domains(lane?: Lane): Promise<LibvirtDomain[]>;
  /** One domain; undefined if libvirt answers that it knows no such VM. */
  domain(vmUuid: string, lane?: Lane): Promise<LibvirtDomain | undefined>;
  /** The stored definition. @throws DomainError NOT_FOUND. */
  definition(vmUuid: string): Promise<string>;
  /** Sets up a start of exactly this XML over whatever is defined; see PendingStart. */
  prepareStart(start: { vmUuid: string; epoch: number; xml: string }): Promise<PendingStart>;
  /** Asks the guest to shut down; returns when libvirt has passed it on. */
  shutdown(vmUuid: string): Promise<void>;
  versions(): Promise<{ libvirt: string; qemu: string }>;
}

/** libvirt's own event stream: one long-lived connection. */
export interface LibvirtEvents {
  /**
   * Yields events until the connection ends. The first item, `undefined`, says that it stands:
   * what happens from then on is reported.
   * @throws Error when the connection can't be had or breaks.
   */
  open(signal: AbortSignal): AsyncIterable<DomainEvent | undefined>;
}
