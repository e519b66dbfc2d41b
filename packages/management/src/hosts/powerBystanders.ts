import { messageOf, type Clock } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { SettingsSource } from '../settings/settings.js';
import type { HostPresence } from './contracts.js';
import type { Host } from './host.js';
import type { HostRepository } from './repository.js';

export interface BystanderDeps {
  clock: Clock;
  presence: HostPresence;
  repository: HostRepository;
  settings: SettingsSource;
}

/**
 * Notes which other hosts are well now.
 * @returns asked later: the names of those that are silent then, or run under a new boot.
 */
export async function watchBystanders(
  { clock, presence, repository, settings }: BystanderDeps,
  drilled: Host,
): Promise<() => string[]> {
  // Not whether its stream is up: one that breaks and is opened again is no sign of lost power.
  const isSilent = (uuid: string): boolean => {
    const lastMs = presence.lastSignOfLifeMs(uuid);
    const limitMs = settings.current().ha.detect.silentAfterMs;
    return lastMs === undefined || clock.monotonicMs() - lastMs >= limitMs;
  };
  const well = (await repository.list())
    .filter(({ uuid }) => uuid !== drilled.uuid && presence.linkUp(uuid) && !isSilent(uuid))
    .map(({ uuid, name }) => ({ uuid, name, bootId: presence.bootId(uuid) }));
  return () =>
    well
      .filter(({ uuid, bootId }) => isSilent(uuid) || presence.bootId(uuid) !== bootId)
      .map(({ name }) => name);
}

/**
 * safety: a device that cuts a second host proves nothing worth having: each fence would take that
 * one, too. A host that went down by chance in that moment makes it wait for a second trial.
 * @param seen what the drill saw, or what it threw.
 * @throws DomainError naming the hosts: REFUSED, or the code of what was thrown.
 */
export function refuseIfSilent(silent: readonly string[], seen: unknown): void {
  if (silent.length === 0) return;
  throw new DomainError(
    seen instanceof DomainError ? seen.code : 'REFUSED',
    `${messageOf(seen)}; but ${silent.join(', ')} fell silent in that moment: look whether the ` +
      `device feeds ${silent.length === 1 ? 'that host' : 'those hosts'}`,
  );
}
