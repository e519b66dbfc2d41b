import type { HostState } from '../vms/hostState.js';

/**
 * This host's uuid, read until it is known and then kept: it never changes, and an echo or a
 * heartbeat must not wait for a disk that hangs.
 */
export function hostUuidOf(state: Pick<HostState, 'identity'>): () => Promise<string | undefined> {
  let known: string | undefined;
  return async () => (known ??= (await state.identity()).hostUuid);
}
