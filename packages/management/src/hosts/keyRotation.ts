import { makeSingleFlight } from '@fenceline/common';
import { agentRoutes, DomainError, type FenceKeyCmd, type FenceKeyRsp } from '@fenceline/protocol';
import type { Events } from '../telemetry/events.js';
import type { AgentGateway } from './agentGateway.js';
import { callAgent } from './connect/context.js';
import type { SiblingRefresh } from './connect/siblingRefresh.js';
import type { Host } from './host.js';
import type { HostRepository } from './repository.js';

const CALL_MS = 10_000;

export interface KeyRotationDeps {
  events: Events;
  gateway: AgentGateway;
  repository: HostRepository;
  siblings: Pick<SiblingRefresh, 'tellNow'>;
}

export interface KeyRotated {
  fencePublicKey: string;
  /** Names of siblings that let the former key in until they are told. */
  untold: readonly string[];
}

/**
 * F29: gives a host a new fence key. First its siblings learn the new one beside the old, then the
 * host uses it, then they forget the old one: at no moment it has a key that they don't know.
 * Repeating it after a failure goes on where it stopped.
 * @throws DomainError CONFLICT if the host is not Connected; REFUSED, unless `force`, if a sibling
 *   can't be told, because the host could not fence that one afterwards.
 */
export type RotateKey = (hostUuid: string, ask: { force: boolean }) => Promise<KeyRotated>;

export function makeRotateKey(deps: KeyRotationDeps): RotateKey {
  const flights = makeSingleFlight();
  return (hostUuid, ask) =>
    flights.run(`${hostUuid} ${ask.force}`, () => rotate(deps, hostUuid, ask));
}

async function rotate(
  deps: KeyRotationDeps,
  hostUuid: string,
  { force }: { force: boolean },
): Promise<KeyRotated> {
  const { repository, siblings } = deps;
  const host = await repository.get(hostUuid);
  if (host.status !== 'Connected')
    throw new DomainError('CONFLICT', `${host.name} is not Connected; connect it first`);
  if (!force) refuseIfAny(host, await awayFrom(deps, host));
  const { fencePublicKey: used, nextFencePublicKey: next } = await ask(deps, host, {
    step: 'prepare',
  });
  if (next === undefined) throw new DomainError('INTERNAL', `${host.name} prepared no key`);
  // What it uses now may be the key of a rotation whose answer was lost.
  await repository.update(hostUuid, { fencePublicKey: used, nextFencePublicKey: next });
  const untold = await siblings.tellNow(host.clusterUuid);
  // safety: F29: a sibling that knows only the old key could not be fenced by this host any more
  if (!force) refuseIfAny(host, untold);
  await ask(deps, host, { step: 'switch', fencePublicKey: next });
  await repository.update(hostUuid, { fencePublicKey: next, nextFencePublicKey: null });
  const late = await siblings.tellNow(host.clusterUuid);
  const away = await awayFrom(deps, host);
  return done(deps, host, { fencePublicKey: next, untold: [...new Set([...late, ...away])] });
}

async function done(deps: KeyRotationDeps, host: Host, rotated: KeyRotated): Promise<KeyRotated> {
  const { untold } = rotated;
  const rest = untold.length === 0 ? '' : `; not told yet, and told later: ${untold.join(', ')}`;
  await deps.events.record({
    kind: 'host.fenceKeyRotated',
    severity: untold.length === 0 ? 'info' : 'warning',
    hostUuid: host.uuid,
    text: `host ${host.name} has a new fence key${rest}`,
    facts: { untold: untold.length },
  });
  return rotated;
}

function ask(deps: KeyRotationDeps, host: Host, command: FenceKeyCmd): Promise<FenceKeyRsp> {
  return callAgent({ ...deps, host }, agentRoutes.fenceKey, { command, deadlineMs: CALL_MS });
}

/** Siblings that were connected once, have its key, and can't be told anything now. */
async function awayFrom({ repository }: KeyRotationDeps, host: Host): Promise<string[]> {
  const all = await repository.list({ clusterUuid: host.clusterUuid });
  return all
    .filter((one) => one.uuid !== host.uuid && one.bootId !== null && one.status !== 'Connected')
    .map(({ name }) => name);
}

function refuseIfAny(host: Host, untold: readonly string[]): void {
  if (untold.length === 0) return;
  throw new DomainError(
    'REFUSED',
    `the fence key of ${host.name} stays: ${untold.join(', ')} can't be told the new one now, and ` +
      `${host.name} could not fence it afterwards; connect it or remove it, or use force`,
    { untold: untold.length },
  );
}
