import { isoNow, makeSingleFlight, messageOf, withLimit, type Clock } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { PowerDevice, PowerState } from '../fencing/power/powerDevice.js';
import { setupProblems, type PowerLevel } from '../fencing/power/powerTopology.js';
import type { MessageBus } from '../messages/bus.js';
import type { SettingsSource } from '../settings/settings.js';
import type { HostState } from '../store/schema.js';
import type { Events } from '../telemetry/events.js';
import type { AgentGateway } from './agentGateway.js';
import type { HostPresence } from './contracts.js';
import { reconnectMessage } from './connect/messages.js';
import type { Host } from './host.js';
import type { InventoryRepository } from './inventoryRepository.js';
import { refuseIfSilent, watchBystanders } from './powerBystanders.js';
import { drillLevel, limitOf } from './powerDrill.js';
import type { HostRepository } from './repository.js';

/** How long the end of its reconnect is waited for. */
const RECONNECT_WAIT_MS = 60_000;

export interface PowerVerifyDeps {
  clock: Clock;
  events: Events;
  bus: MessageBus;
  gateway: AgentGateway;
  settings: SettingsSource;
  repository: HostRepository;
  inventory: InventoryRepository;
  presence: HostPresence;
  power: PowerDevice;
}

/**
 * Proves that the power devices of a host switch exactly this host, level by level (see
 * `drillLevel`). Only for a Connected host with no open run; it is in maintenance meanwhile, so that
 * nothing is placed there and nobody takes it for dead. A level that passes stays proven if a later
 * one does not. Ends when its reconnect has ended, well or not, or takes long.
 * @param level only this one; absent: all.
 * @throws DomainError CONFLICT, NOT_FOUND (no such level), REFUSED with what was seen, TIMED_OUT.
 */
export type VerifyPower = (hostUuid: string, level?: number) => Promise<{ verifiedAt: string }>;

export function makeVerifyPower(deps: PowerVerifyDeps): VerifyPower {
  const flights = makeSingleFlight();
  const tried = new Map<string, number | undefined>();
  return async (hostUuid, level) => {
    // Two trials of one host would switch each other's outlets.
    if (tried.has(hostUuid) && tried.get(hostUuid) !== level)
      throw new DomainError('CONFLICT', 'the power of this host is being tried already');
    tried.set(hostUuid, level);
    return flights
      .run(hostUuid, () => verify(deps, hostUuid, level))
      .finally(() => tried.delete(hostUuid));
  };
}

async function verify(
  deps: PowerVerifyDeps,
  hostUuid: string,
  only: number | undefined,
): Promise<{ verifiedAt: string }> {
  const { repository } = deps;
  const host = await repository.get(hostUuid);
  const levels = await levelsToTry(deps, host, only);
  if (host.status !== 'Connected' || host.bootId === null)
    throw new DomainError(
      'CONFLICT',
      `${host.name} is not Connected; its return could not be seen`,
    );
  await refuseOpenRuns(deps, host);
  await enterMaintenance(deps, host);
  let last: PowerState = 'unknown';
  try {
    // safety: asked again now that nothing new can be placed there.
    await refuseOpenRuns(deps, host);
    let verifiedAt = '';
    for (const level of levels) verifiedAt = await verifyLevel(deps, host, level);
    last = 'on';
    return { verifiedAt };
  } catch (thrown) {
    last = await readAll(deps, levels);
    throw thrown;
  } finally {
    await leaveMaintenance(deps, host, last);
  }
}

async function levelsToTry(
  { inventory }: PowerVerifyDeps,
  host: Host,
  only: number | undefined,
): Promise<PowerLevel[]> {
  const levels = await inventory.powerLevels(host.uuid);
  if (levels.length === 0)
    throw new DomainError('CONFLICT', `${host.name} has no power device; set one first`);
  const found = levels.filter(({ level }) => only === undefined || level === only);
  if (found.length === 0)
    throw new DomainError('NOT_FOUND', `level: ${host.name} has no power level ${only}`);
  // safety: also of devices that were stored before: the trial itself would cut the other host.
  const configs = found.map(({ devices }) => devices.map(({ config }) => config));
  await inventory.refuseForeignOutlets(host.uuid, configs);
  const refused = found.flatMap(({ devices }) => devices.flatMap(setupProblems));
  if (refused.length > 0)
    throw new DomainError('REFUSED', `set the power device anew: ${refused.join('; ')}`);
  return found;
}

async function verifyLevel(deps: PowerVerifyDeps, host: Host, level: PowerLevel): Promise<string> {
  const { inventory, events, clock } = deps;
  const hostUuid = host.uuid;
  const facts = { level: level.level, devices: level.devices.length };
  const fellSilent = await watchBystanders(deps, host);
  try {
    await drillLevel(deps, host, level).catch((thrown: unknown) => {
      refuseIfSilent(fellSilent(), thrown);
      throw thrown;
    });
    refuseIfSilent(fellSilent(), `${host.name} is switched`);
    const verifiedAt = isoNow(clock);
    await inventory.setVerified(
      level.devices.map(({ uuid }) => uuid),
      verifiedAt,
    );
    const text = `host ${host.name}: its power device was seen to switch exactly this host`;
    await events.record({ kind: 'host.powerVerified', hostUuid, text, facts });
    return verifiedAt;
  } catch (thrown) {
    const text = `host ${host.name}: its power device is not proven: ${messageOf(thrown)}`;
    await events.record({
      kind: 'host.powerNotProven',
      severity: 'warning',
      hostUuid,
      text,
      facts,
    });
    throw thrown;
  }
}

/** `on` only if every feed of every level that was tried reads so. */
async function readAll(deps: PowerVerifyDeps, levels: readonly PowerLevel[]): Promise<PowerState> {
  let all: PowerState = 'on';
  for (const { config } of levels.flatMap(({ devices }) => devices)) {
    const state = await deps.power.status(config, limitOf(deps));
    if (state !== 'on') all = state;
  }
  return all;
}

async function refuseOpenRuns({ inventory, presence }: PowerVerifyDeps, host: Host): Promise<void> {
  // safety: what the host itself shows counts too; the ledger may not know of it yet.
  const live = presence.liveVms(host.uuid) ?? [];
  if (live.length > 0)
    throw new DomainError(
      'REFUSED',
      `${host.name} shows ${live.length} running VMs; move or stop them first`,
    );
  const runs = await inventory.openRuns(host.uuid);
  if (runs.length === 0) return;
  throw new DomainError(
    'REFUSED',
    `${host.name} has ${runs.length} open runs of VMs; move or stop them first`,
    { openRuns: runs.length },
  );
}

const TRIAL = 'its power device is being tried';

async function enterMaintenance({ repository }: PowerVerifyDeps, host: Host): Promise<void> {
  if (host.state === 'Maintenance') return;
  if (host.state !== 'PreMaintenance') await repository.applyState(host.uuid, 'preMaintain', TRIAL);
  await repository.applyState(host.uuid, 'maintain', TRIAL);
}

async function leaveMaintenance(
  { repository, bus, settings, clock }: PowerVerifyDeps,
  host: Host,
  power: PowerState,
): Promise<void> {
  const before: HostState = host.state;
  if (before === 'Maintenance') return;
  // A host whose power is not known to be on gets no VMs until a person has looked.
  const enable = before === 'Enabled' && power === 'on';
  const reason = `${TRIAL}: over (power ${power})`;
  await repository.applyState(host.uuid, enable ? 'enable' : 'disable', reason);
  const ask = { hostUuid: host.uuid, calledBy: 'maintenance' } as const;
  // Whoever goes on when this has ended relies on a host that is connected, not on one that was. One
  // that began before the agent answered may be shared, and fail: then it is tried once more. How it
  // ends changes nothing about what was seen of the device; a long one goes on by itself.
  const reconnect = async (): Promise<void> => {
    const message = reconnectMessage(settings.current(), ask);
    const { error } = await bus.send('ReconnectHost', message);
    if (error !== undefined) await bus.send('ReconnectHost', message);
  };
  const limit = { clock, ms: RECONNECT_WAIT_MS, what: `reconnect of ${host.name}` };
  await withLimit(limit, reconnect).catch(() => undefined);
}
