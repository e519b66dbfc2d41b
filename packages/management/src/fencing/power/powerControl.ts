import { makeSingleFlight, sleep, type Clock, type Random } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { LoginVault } from '../../hosts/hostLogins.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { Store } from '../../store/store.js';
import { PowerDeviceError, type PowerDevice } from './powerDevice.js';
import { makePowerOrders, type PowerOrders } from './powerOrders.js';
import {
  isUsable,
  powerLevelsOf,
  setupProblems,
  type PowerLevel,
  type StoredPowerDevice,
} from './powerTopology.js';
import type { DeviceReading, PowerReading } from '../proofs/byPower.js';

/** Readings after "off" until one says off. */
const MAX_READINGS = 10;
const READING_EVERY_MS = 300;

export interface PowerControlDeps {
  store: Store;
  device: PowerDevice;
  settings: SettingsSource;
  clock: Clock;
  random: Random;
  loginVault: Pick<LoginVault, 'open'>;
}

/** What was read of one level. */
export type LevelReading = Omit<PowerReading, 'lastSignOfLifeMs'>;

/** Power of hosts for the HA domain: one order per host at a time, recorded before it is given. */
export interface PowerControl {
  /** Why a host can't be switched off with proof, or undefined. */
  problem(hostUuid: string): Promise<string | undefined>;
  /**
   * Tries the levels that are verified and allowed in order until every device of one reads off; callers
   * that overlap share the orders. A level that was begun is followed to its end, unless that is held back.
   * @returns what was read, level by level; the last one is the one that counts.
   * @throws DomainError if there is no such level, or it was called off within one.
   */
  switchOff(hostUuid: string, wish: PowerWish): Promise<readonly LevelReading[]>;
  /** Its devices are being ordered or read right now. */
  isAtWork(hostUuid: string): boolean;
  /** The host runs under a new boot: whatever was ordered before has happened, or has passed. */
  rebooted(hostUuid: string): Promise<void>;
  /** Hosts with an order whose outcome is not known: nothing may be placed there. */
  unresolved(): Promise<string[]>;
}

export interface PowerWish {
  /** Asked before each level: false if this caller has no use for it any more. */
  wanted: () => boolean;
  /** Asked before each order: why this caller may not have it given. */
  heldBack: () => string | undefined;
}

export function makePowerControl(
  deps: PowerControlDeps,
  orders: PowerOrders = makePowerOrders(deps),
): PowerControl {
  const flights = makeSingleFlight();
  const wishes = new Map<string, Set<PowerWish>>();
  return {
    problem: async (hostUuid) => {
      const levels = await powerLevelsOf(deps.store.db, deps.loginVault, hostUuid);
      if (levels.length === 0) return 'the host has no power device';
      if (levels.some(isUsable)) return undefined;
      const refused = levels.flatMap(({ devices }) => devices.flatMap(setupProblems));
      return refused.length > 0
        ? `its power device is not used: ${refused.join('; ')}`
        : 'the power device was never confirmed to switch this host (fenceline host power-verify)';
    },
    switchOff: async (hostUuid, wish) => {
      const all = wishes.get(hostUuid) ?? new Set();
      wishes.set(hostUuid, all.add(wish));
      const anybody = {
        wanted: () => [...all].some(({ wanted }) => wanted()),
        heldBack: () => heldBackForAll(all),
      };
      try {
        return await flights.run(hostUuid, () => switchOff({ ...deps, orders }, hostUuid, anybody));
      } finally {
        all.delete(wish);
        if (all.size === 0) wishes.delete(hostUuid);
      }
    },
    isAtWork: (hostUuid) => wishes.has(hostUuid),
    rebooted: (hostUuid) => orders.resolveAll(hostUuid, 'the host runs under a new boot'),
    unresolved: async () => [...new Set((await orders.unresolved()).map((one) => one.hostUuid))],
  };
}

/** Somebody may have it done, or the last one's reason. */
function heldBackForAll(all: ReadonlySet<PowerWish>): string | undefined {
  const reasons = [...all].map(({ heldBack }) => heldBack());
  return reasons.includes(undefined) ? undefined : (reasons.at(-1) ?? 'nobody wants it any more');
}

type Tools = PowerControlDeps & { orders: PowerOrders };

async function switchOff(
  tools: Tools,
  hostUuid: string,
  { wanted, heldBack }: PowerWish,
): Promise<LevelReading[]> {
  const levels = (await powerLevelsOf(tools.store.db, tools.loginVault, hostUuid)).filter(isUsable);
  if (levels.length === 0) throw new DomainError('NOT_FOUND', 'the host has no power device');
  const readings: LevelReading[] = [];
  for (const level of levels) {
    if (readings.length > 0 && !wanted()) break;
    const reading = await levelOff(tools, { hostUuid, level, heldBack });
    readings.push(reading);
    if (reading.devices.every(({ readBack }) => readBack === 'off')) break;
  }
  return readings;
}

interface LevelOrder {
  hostUuid: string;
  level: PowerLevel;
  heldBack: () => string | undefined;
}

/**
 * One device after the other: many take one login at a time, and where one fails the others are
 * left alone.
 */
async function levelOff(
  tools: Tools,
  { hostUuid, level: { level, devices }, heldBack }: LevelOrder,
): Promise<LevelReading> {
  const readings: DeviceReading[] = [];
  for (const device of devices) {
    // safety: a host that came back must not lose the feed that it still has.
    const held = heldBack();
    if (held !== undefined)
      throw new DomainError(
        'REFUSED',
        `called off with ${readings.length} of ${devices.length} feeds off, as ${held}`,
      );
    const reading = await deviceOff(tools, hostUuid, device);
    readings.push(reading);
    if (reading.readBack !== 'off') return { level, devices: readings };
  }
  if (devices.length === 1) return { level, devices: readings };
  // safety: a feed may have come back while the others were switched; all off at one moment counts,
  // so all are read again after the last one was off.
  const again: DeviceReading[] = [];
  for (const [i, reading] of readings.entries()) {
    const config = devices[i]?.config ?? { agent: '', parameters: {} };
    const readBackAtMs = tools.clock.monotonicMs();
    const readBack = await tools.device.status(config, limitOf(tools));
    again.push({ ...reading, readBack, readBackAtMs });
  }
  return { level, devices: again };
}

async function deviceOff(
  tools: Tools,
  hostUuid: string,
  { uuid: deviceUuid, config, verifiedAt }: StoredPowerDevice,
): Promise<DeviceReading> {
  const { clock, orders, device } = tools;
  const orderUuid = await orders.record({ hostUuid, deviceUuid });
  const offSentAtMs = clock.monotonicMs();
  // A device may reject "off" for a host that is off already; the reading decides.
  const failure = await device.off(config, limitOf(tools)).then(
    () => undefined,
    (error: unknown) => error,
  );
  let readBack: DeviceReading['readBack'] = 'unknown';
  let readBackAtMs = clock.monotonicMs();
  for (let i = 0; i < MAX_READINGS && readBack !== 'off'; i += 1) {
    if (i > 0) await sleep(clock, READING_EVERY_MS);
    readBackAtMs = clock.monotonicMs();
    readBack = await device.status(config, limitOf(tools));
    if (readBack === 'unknown') break;
  }
  // safety: an "off" that reads "on" may still come, acknowledged or not; only one that never left
  // this server can't.
  const resolved = readBack === 'off' || neverLeft(failure);
  if (resolved) await orders.resolveDevice({ hostUuid, deviceUuid }, `${orderUuid}: ${readBack}`);
  return {
    agent: config.agent,
    verifiedAt,
    offAcknowledged: failure === undefined,
    offSentAtMs,
    firstOffAtMs: readBack === 'off' ? readBackAtMs : undefined,
    readBack,
    readBackAtMs,
  };
}

function limitOf({ settings }: Tools): { timeoutMs: number } {
  return { timeoutMs: settings.current().ha.power.commandTimeoutMs };
}

function neverLeft(failure: unknown): boolean {
  if (!(failure instanceof PowerDeviceError)) return false;
  return failure.failure === 'notStarted' || failure.failure === 'badParameters';
}
