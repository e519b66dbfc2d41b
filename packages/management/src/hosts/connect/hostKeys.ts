import { DomainError } from '@fenceline/protocol';
import type { Host } from '../host.js';

/**
 * The host keys to pin: those of the first connect stay. A host may gain or lose a type of key,
 * but a type that was pinned must show the same key, and at least one pinned key must be left.
 * @throws DomainError CONFLICT if the host shows none at all, or other keys than the pinned ones.
 */
export function pinnedHostKeys(
  host: Pick<Host, 'name' | 'sshHostKeys'>,
  seen: readonly string[],
): readonly string[] {
  if (seen.length === 0)
    throw new DomainError(
      'CONFLICT',
      `${host.name} shows no SSH host key, so it could not be fenced; install and start sshd there`,
    );
  if (host.sshHostKeys.length === 0) return seen.map(bare);
  const now = byType(seen);
  const changed = host.sshHostKeys.filter((key) => isOther(now.get(typeOf(key)), bare(key)));
  const kept = host.sshHostKeys.filter((key) => now.get(typeOf(key)) === bare(key));
  // safety: a machine behind a reused address must not pass for the host that was pinned.
  if (changed.length > 0 || kept.length === 0)
    throw new DomainError(
      'CONFLICT',
      `the SSH host key of ${host.name} is not the one pinned at its first connect ` +
        `(${changed.map(typeOf).join(', ') || 'none of the pinned ones is left'}); if the host ` +
        'was reinstalled, remove it and add it again, else find out who answers there',
      { pinned: host.sshHostKeys.length, changed: changed.length },
    );
  return host.sshHostKeys;
}

function isOther(seen: string | undefined, pinned: string): boolean {
  return seen !== undefined && seen !== pinned;
}

function byType(keys: readonly string[]): Map<string, string> {
  return new Map(keys.map((key) => [typeOf(key), bare(key)]));
}

function typeOf(key: string): string {
  return key.trim().split(/\s+/)[0] ?? '';
}

/** `type base64`, without a comment. */
function bare(key: string): string {
  return key.trim().split(/\s+/).slice(0, 2).join(' ');
}
