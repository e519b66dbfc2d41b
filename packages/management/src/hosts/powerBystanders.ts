import type { Clock } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { HostPresence } from './contracts.js';
import type { Host } from './host.js';
import type { HostRepository } from './repository.js';

/** Heartbeats come every second or two; a host that is well is never silent for so long. */
const SILENT_MS = 10_000;

export interface BystanderDeps {
  clock: Clock;
  presence: HostPresence;
  repository: HostRepository;
}

/**
 * Notes which other hosts are well now.
 * @returns asked later: the names of those that are silent then, or run under a new boot.
 */
export async function watchBystanders(
  { clock, presence, repository }: BystanderDeps,
  drilled: Host,
): Promise<() => string[]> {
  const isWell = (uuid: string): boolean => {
    const lastMs = presence.lastSignOfLifeMs(uuid);
    const heard = lastMs !== undefined && clock.monotonicMs() - lastMs < SILENT_MS;
    return heard && presence.linkUp(uuid);
  };
  const well = (await repository.list())
    .filter(({ uuid }) => uuid !== drilled.uuid && isWell(uuid))
    .map(({ uuid, name }) => ({ uuid, name, bootId: presence.bootId(uuid) }));
  return () =>
    well
      .filter(({ uuid, bootId }) => !isWell(uuid) || presence.bootId(uuid) !== bootId)
      .map(({ name }) => name);
}

/**
 * safety: a device that cuts a second host proves nothing worth having: each fence would take that
 * one, too. A host that went down by chance in that moment makes it wait for a second trial.
 * @param seen what the drill saw, and, if it did not pass, what it threw.
 * @throws DomainError REFUSED naming the hosts; else `thrown`, if there is one.
 */
export function refuseIfSilent(silent: readonly string[], seen: string, thrown?: unknown): void {
  if (silent.length > 0)
    throw new DomainError(
      thrown instanceof DomainError ? thrown.code : 'REFUSED',
      `${seen}; but ${silent.join(', ')} fell silent in that moment: look whether the device ` +
        `feeds ${silent.length === 1 ? 'that host' : 'those hosts'}`,
    );
  if (thrown !== undefined) throw thrown;
}
