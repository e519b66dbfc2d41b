import { isoNow, makeSingleFlight, sleep, type Clock, type Random } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { SettingsSource } from '../settings/settings.js';
import { fromJson, type Store } from '../store/store.js';
import { PowerDeviceError, type PowerDevice, type PowerDeviceConfig } from './powerDevice.js';
import type { PowerReading } from './proofs/byPower.js';

/** Readings after "off" until one says off. */
const MAX_READINGS = 10;
const READING_EVERY_MS = 300;

export interface PowerControlDeps {
  store: Store;
  device: PowerDevice;
  settings: SettingsSource;
  clock: Clock;
  random: Random;
}

/** Power of hosts for the HA domain: one order per host at a time, recorded before it is given. */
export interface PowerControl {
  /** Why a host can't be switched off with proof, or undefined. */
  problem(hostUuid: string): Promise<string | undefined>;
  /**
   * Switches off and reads back; callers that overlap share one order.
   * @throws DomainError if there is no device.
   */
  switchOff(hostUuid: string): Promise<Omit<PowerReading, 'lastSignOfLifeMs'>>;
  /** The host runs under a new boot: whatever was ordered before has happened, or has passed. */
  rebooted(hostUuid: string): Promise<void>;
  /** Hosts with an order whose outcome is not known: nothing may be placed there. */
  unresolved(): Promise<string[]>;
}

export function makePowerControl(deps: PowerControlDeps): PowerControl {
  const flights = makeSingleFlight();
  return {
    problem: async (hostUuid) => {
      const device = await deviceOf(deps, hostUuid);
      if (device === undefined) return 'the host has no power device';
      return device.verifiedAt === null
        ? 'the power device was never confirmed to switch this host (fenceline host power-verify)'
        : undefined;
    },
    switchOff: (hostUuid) => flights.run(hostUuid, () => switchOff(deps, hostUuid)),
    rebooted: (hostUuid) => resolveOrders(deps, hostUuid, 'the host runs under a new boot'),
    unresolved: async () => {
      const rows = await deps.store.db
        .selectFrom('powerOrders')
        .select('hostUuid')
        .distinct()
        .where('resolvedAt', 'is', null)
        .execute();
      return rows.map(({ hostUuid }) => hostUuid);
    },
  };
}

async function deviceOf(
  { store }: PowerControlDeps,
  hostUuid: string,
): Promise<{ config: PowerDeviceConfig; verifiedAt: string | null } | undefined> {
  const row = await store.db
    .selectFrom('powerDevices')
    .selectAll()
    .where('hostUuid', '=', hostUuid)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const parameters = fromJson<Record<string, string>>(row.parametersJson);
  return { config: { agent: row.agent, parameters }, verifiedAt: row.verifiedAt };
}

async function switchOff(
  deps: PowerControlDeps,
  hostUuid: string,
): Promise<Omit<PowerReading, 'lastSignOfLifeMs'>> {
  const found = await deviceOf(deps, hostUuid);
  if (found === undefined) throw new DomainError('NOT_FOUND', 'the host has no power device');
  const { config, verifiedAt } = found;
  const limit = { timeoutMs: deps.settings.current().ha.power.commandTimeoutMs };
  const orderUuid = await recordOrder(deps, hostUuid);
  const offSentAtMs = deps.clock.monotonicMs();
  // A device may reject "off" for a host that is off already; the reading decides.
  const failure = await deps.device.off(config, limit).then(
    () => undefined,
    (error: unknown) => error,
  );
  const offAcknowledged = failure === undefined;
  let readBack: PowerReading['readBack'] = 'unknown';
  for (let i = 0; i < MAX_READINGS && readBack !== 'off'; i += 1) {
    if (i > 0) await sleep(deps.clock, READING_EVERY_MS);
    readBack = await deps.device.status(config, limit);
    if (readBack === 'unknown') break;
  }
  const readBackAtMs = deps.clock.monotonicMs();
  // safety: an "off" that reads "on" may still come, acknowledged or not; only one that never left
  // this server can't.
  const resolved = readBack === 'off' || neverLeft(failure);
  if (resolved) await resolveOrders(deps, hostUuid, `${orderUuid}: ${readBack}`);
  return {
    deviceAgent: config.agent,
    verifiedAt,
    offAcknowledged,
    readBack,
    offSentAtMs,
    readBackAtMs,
  };
}

function neverLeft(failure: unknown): boolean {
  if (!(failure instanceof PowerDeviceError)) return false;
  return failure.failure === 'notStarted' || failure.failure === 'badParameters';
}

/** Durable before act: a server that dies now still knows that an order may be out. */
async function recordOrder(
  { store, clock, random }: PowerControlDeps,
  hostUuid: string,
): Promise<string> {
  const uuid = random.uuid();
  const order = { uuid, hostUuid, orderedAt: isoNow(clock), resolvedAt: null, result: null };
  await store.db.insertInto('powerOrders').values(order).execute();
  return uuid;
}

async function resolveOrders(
  { store, clock }: PowerControlDeps,
  hostUuid: string,
  result: string,
): Promise<void> {
  await store.db
    .updateTable('powerOrders')
    .set({ resolvedAt: isoNow(clock), result })
    .where('hostUuid', '=', hostUuid)
    .where('resolvedAt', 'is', null)
    .execute();
}
