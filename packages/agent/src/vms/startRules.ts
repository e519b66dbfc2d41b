import { DomainError } from '@fenceline/protocol';
import type { HostIdentity } from './hostState.js';

/** What decides whether a start may begin on this host. */
export interface StartFacts {
  vmUuid: string;
  epoch: number;
  identity: HostIdentity;
  barrier: number | undefined;
  began: number | undefined;
  /** Processes of this VM that live here, whatever their epoch. */
  living: readonly { pid: number; epoch: number | null }[];
  /** libvirt says that this VM is active. */
  activeInLibvirt: boolean;
  /** An earlier start of this VM that is under way, or of which nobody heard how it ended. */
  grant: { epoch: number; pid: number; alive: boolean } | undefined;
}

/** `start`: begin it. `repeat`: this epoch has begun before, answer the state and start nothing. */
export type StartDecision = 'start' | 'repeat';

/**
 * F11, F34: each epoch starts at most once on a host, never at or below the barrier, never below
 * an epoch that began.
 * @throws DomainError STALE_EPOCH, REFUSED or CONFLICT.
 */
export function decideStart(facts: StartFacts): StartDecision {
  const { vmUuid, epoch, barrier, began } = facts;
  if (!facts.identity.seeded)
    throw new DomainError(
      'REFUSED',
      'this host has no whole record of its past starts: a connect must bring `runs` first',
      { vmUuid, epoch },
    );
  refuseClosed({ vmUuid, epoch, barrier });
  if (began !== undefined && epoch < began)
    throw new DomainError(
      'STALE_EPOCH',
      `epoch ${epoch} is older than ${began}, which began here`,
      {
        vmUuid,
        epoch,
        began,
      },
    );
  if (began === epoch) return 'repeat';
  refuseBusy(facts);
  return 'start';
}

/** @throws DomainError STALE_EPOCH if the VM is closed up to that epoch (F34). */
export function refuseClosed(run: {
  vmUuid: string;
  epoch: number;
  barrier: number | undefined;
}): void {
  const { vmUuid, epoch, barrier } = run;
  if (barrier !== undefined && epoch <= barrier)
    throw new DomainError('STALE_EPOCH', `the VM is closed here up to epoch ${barrier}`, {
      vmUuid,
      epoch,
      barrier,
    });
}

function refuseBusy({ vmUuid, epoch, living, activeInLibvirt, grant }: StartFacts): void {
  const [qemu] = living;
  if (qemu !== undefined)
    throw new DomainError('CONFLICT', `the VM already has a qemu here (pid ${qemu.pid})`, {
      vmUuid,
      epoch,
      pid: qemu.pid,
      runningEpoch: qemu.epoch,
    });
  // safety: F34: libvirt may still have that start in its queue, and would run it beside this one
  if (grant !== undefined)
    throw new DomainError(
      'CONFLICT',
      grant.alive
        ? `another start of the VM is under way (pid ${grant.pid})`
        : `an earlier start is unresolved: run ${grant.epoch} has to be closed on this host first`,
      { vmUuid, epoch, pid: grant.pid, grantEpoch: grant.epoch },
    );
  if (activeInLibvirt)
    throw new DomainError('CONFLICT', 'libvirt says that the VM is active here', { vmUuid, epoch });
}
