import {
  messageOf,
  type Clock,
  type Logger,
  type MonotonicMs,
  type Timer,
} from '@fenceline/common';
import type { HostPresence } from '../../hosts/contracts.js';
import type { LoginVault } from '../../hosts/hostLogins.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { Store } from '../../store/store.js';
import type { Events } from '../../telemetry/events.js';
import type { PowerControl } from './powerControl.js';
import type { PowerDevice } from './powerDevice.js';
import type { OpenOrder, PowerOrders } from './powerOrders.js';
import { powerLevelsOf } from './powerTopology.js';

const LOOK_EVERY_MS = 20_000;
/**
 * So long device and host have to show that nothing was switched off. A device that carries an
 * order out even later switches off a host with VMs on it: a host that fails, never a second writer.
 */
export const CALM_MS = 5 * 60_000;

export interface PowerSettleDeps {
  store: Store;
  orders: Pick<PowerOrders, 'unresolved' | 'resolve'>;
  control: Pick<PowerControl, 'isAtWork'>;
  device: Pick<PowerDevice, 'status'>;
  loginVault: Pick<LoginVault, 'open'>;
  presence: Pick<HostPresence, 'linkUp' | 'bootId'>;
  settings: SettingsSource;
  events: Events;
  clock: Clock;
  log: Logger;
}

/**
 * Ends orders whose outcome was never read, of a host that lives on under the same boot: as soon as
 * the device says "on", and goes on saying so. (A new boot settles them all by itself.)
 */
export interface PowerSettle {
  start(): void;
  /** Settles when no device is being read any more. */
  stop(): Promise<void>;
}

interface Calm {
  /** Boot and orders that it is about: another one of either begins it anew. */
  about: string;
  sinceMs: MonotonicMs;
}

export function makePowerSettle(deps: PowerSettleDeps): PowerSettle {
  const { clock, log } = deps;
  const calm = new Map<string, Calm>();
  let timer: Timer | undefined;
  let looking: Promise<void> = Promise.resolve();
  let stopped = false;
  const look = async (): Promise<void> => {
    const open = await deps.orders.unresolved();
    const hosts = new Set(open.map(({ hostUuid }) => hostUuid));
    for (const hostUuid of calm.keys()) if (!hosts.has(hostUuid)) calm.delete(hostUuid);
    for (const hostUuid of hosts) {
      const orders = open.filter((order) => order.hostUuid === hostUuid);
      await lookAtHost(deps, calm, { hostUuid, orders }).catch((error: unknown) => {
        calm.delete(hostUuid);
        log.warn('a power order could not be looked at', { hostUuid, error: messageOf(error) });
      });
    }
  };
  const next = (): void => {
    if (stopped) return;
    timer = clock.after(LOOK_EVERY_MS, () => {
      looking = look()
        .catch((error: unknown) =>
          log.warn('open power orders could not be looked at', { error: messageOf(error) }),
        )
        .then(next);
    });
  };
  return {
    start: next,
    stop: async () => {
      stopped = true;
      timer?.cancel();
      await looking;
    },
  };
}

async function lookAtHost(
  deps: PowerSettleDeps,
  calm: Map<string, Calm>,
  { hostUuid, orders }: { hostUuid: string; orders: readonly OpenOrder[] },
): Promise<void> {
  const bootId = livesUnder(deps, hostUuid);
  const on = bootId !== undefined && (await allOn(deps, hostUuid, orders));
  // safety: looked at again: it may have fallen silent, or rebooted, while the device was read.
  if (!on || livesUnder(deps, hostUuid) !== bootId) {
    calm.delete(hostUuid);
    return;
  }
  const nowMs = deps.clock.monotonicMs();
  const about = [bootId, ...orders.map(({ uuid }) => uuid)].join(' ');
  const before = calm.get(hostUuid);
  if (before?.about !== about) calm.set(hostUuid, { about, sinceMs: nowMs });
  else if (nowMs - before.sinceMs >= CALM_MS) await settle(deps, hostUuid, orders);
}

/** The boot under which the host answers, while nobody orders or reads its power. */
function livesUnder({ presence, control }: PowerSettleDeps, hostUuid: string): string | undefined {
  if (!presence.linkUp(hostUuid) || control.isAtWork(hostUuid)) return undefined;
  return presence.bootId(hostUuid);
}

/** Those that the host still has; one that was taken away can't be read any more. */
async function allOn(
  { store, loginVault, device, settings }: PowerSettleDeps,
  hostUuid: string,
  orders: readonly OpenOrder[],
): Promise<boolean> {
  const levels = await powerLevelsOf(store.db, loginVault, hostUuid);
  const timeoutMs = settings.current().ha.power.commandTimeoutMs;
  for (const one of levels.flatMap(({ devices }) => devices)) {
    if (!orders.some(({ deviceUuid }) => deviceUuid === one.uuid)) continue;
    if ((await device.status(one.config, { timeoutMs })) !== 'on') return false;
  }
  return true;
}

async function settle(
  { orders, events }: PowerSettleDeps,
  hostUuid: string,
  open: readonly OpenOrder[],
): Promise<void> {
  const text = 'nothing was switched off: its host lives on under the same boot';
  await orders.resolve(
    open.map(({ uuid }) => uuid),
    text,
  );
  await events.record({
    kind: 'power.orderSettled',
    hostUuid,
    text: `an "off" whose outcome was not known is over: ${text}`,
    facts: { orders: open.length },
  });
}
