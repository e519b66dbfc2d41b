import { isoNow, type Clock, type Random } from '@fenceline/common';
import type { Store } from '../../store/store.js';

/** Which device of which host an order is for. */
export interface OrderTarget {
  hostUuid: string;
  deviceUuid: string;
}

/** The "off" orders that were given, durable: one whose outcome is not known bars placement. */
export interface PowerOrders {
  /** Durable before act: a server that dies now still knows that an order may be out. */
  record(target: OrderTarget): Promise<string>;
  /** The device's state was read after its orders. */
  resolveDevice(target: OrderTarget, result: string): Promise<void>;
  /** Whatever was ordered there has happened, or has passed. */
  resolveAll(hostUuid: string, result: string): Promise<void>;
  /** These alone: one that was given meanwhile stays. */
  resolve(orderUuids: readonly string[], result: string): Promise<void>;
  unresolved(): Promise<OpenOrder[]>;
}

/** An order whose outcome is not known. */
export interface OpenOrder extends OrderTarget {
  uuid: string;
}

export function makePowerOrders({
  store,
  clock,
  random,
}: {
  store: Store;
  clock: Clock;
  random: Random;
}): PowerOrders {
  const open = (hostUuid: string) =>
    store.db
      .updateTable('powerOrders')
      .where('hostUuid', '=', hostUuid)
      .where('resolvedAt', 'is', null);
  return {
    record: async (target) => {
      const uuid = random.uuid();
      const order = { uuid, ...target, orderedAt: isoNow(clock), resolvedAt: null, result: null };
      await store.db.insertInto('powerOrders').values(order).execute();
      return uuid;
    },
    // safety: only this device's: another feed of the host may still be told off by an order of
    // its own.
    resolveDevice: async ({ hostUuid, deviceUuid }, result) => {
      await open(hostUuid)
        .set({ resolvedAt: isoNow(clock), result })
        .where('deviceUuid', '=', deviceUuid)
        .execute();
    },
    resolveAll: async (hostUuid, result) => {
      await open(hostUuid)
        .set({ resolvedAt: isoNow(clock), result })
        .execute();
    },
    resolve: async (orderUuids, result) => {
      await store.db
        .updateTable('powerOrders')
        .set({ resolvedAt: isoNow(clock), result })
        .where('uuid', 'in', orderUuids)
        .where('resolvedAt', 'is', null)
        .execute();
    },
    unresolved: () =>
      store.db
        .selectFrom('powerOrders')
        .select(['uuid', 'hostUuid', 'deviceUuid'])
        .where('resolvedAt', 'is', null)
        .orderBy('orderedAt')
        .orderBy('uuid')
        .execute(),
  };
}
