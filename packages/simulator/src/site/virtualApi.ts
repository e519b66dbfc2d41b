import type { apiRoutes, Client } from '@fenceline/protocol';
import type { World } from '../world/world.js';

/** An API whose calls let virtual time pass until they are answered. */
export function onVirtualTime(
  world: World,
  api: Client<typeof apiRoutes>,
): Client<typeof apiRoutes> {
  const calls = Object.entries(api as Record<string, (...ask: never[]) => Promise<unknown>>);
  const settled = calls.map(([name, call]) => [
    name,
    (...ask: never[]) => world.clock.settle(call(...ask)),
  ]);
  // The one place where the table's type can't be carried through Object.entries.
  return Object.fromEntries(settled) as Client<typeof apiRoutes>;
}
