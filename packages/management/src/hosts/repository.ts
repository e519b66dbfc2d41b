import { isoNow, type Clock } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import { sql } from 'kysely';
import type { HostState, HostStatus, HostsTable } from '../store/schema.js';
import type { Queryable, Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import { columnsOf, hostOfRow, rowOfHost, type Host, type HostFields } from './host.js';
import { livenessArrows, type LivenessArrow } from './liveness.js';
import { nextState, statusChange, type StateEvent } from './statusRules.js';

/** This management node, as rows name it. */
export interface Owner {
  uuid: string;
}

export interface RepositoryDeps {
  store: Store;
  clock: Clock;
  events: Events;
  owner: Owner;
}

/** Typed reads and writes of hosts. Every write carries the owner epoch in force. */
export interface HostRepository {
  /** Takes every host over: its owner epoch grows, and writes with an older one fail from then on. */
  claimAll(): Promise<void>;
  /** A new host, owned by this node. */
  insert(host: Host, on: Queryable): Promise<void>;
  find(hostUuid: string, on?: Queryable): Promise<Host | undefined>;
  /** @throws DomainError NOT_FOUND */
  get(hostUuid: string, on?: Queryable): Promise<Host>;
  list(filter?: { clusterUuid?: string }, on?: Queryable): Promise<Host[]>;
  /** @throws DomainError NOT_FOUND, CONFLICT if another node owns the host now. */
  update(hostUuid: string, fields: HostFields, on?: Queryable): Promise<void>;
  /** C1: no change, no event. */
  setStatus(hostUuid: string, to: HostStatus, reason: string): Promise<void>;
  /** C1. @throws DomainError CONFLICT for an event that the table does not know. */
  applyState(hostUuid: string, event: StateEvent, reason: string): Promise<HostState>;
  /** D7: one arrow, with its event; answers the liveness that holds afterwards. */
  applyLiveness(hostUuid: string, arrow: LivenessArrow, reason: string): Promise<Host>;
  /** Many hosts in one write; a host that is gone or owned by another node is left out. */
  noteSignsOfLife(signs: SignsOfLife): Promise<void>;
  /** Deletes the row in `on`. @throws DomainError NOT_FOUND, CONFLICT */
  remove(hostUuid: string, on: Queryable): Promise<void>;
}

/** Wall time of the last signs of life, by host. */
export type SignsOfLife = readonly { hostUuid: string; at: string }[];

export function makeHostRepository(deps: RepositoryDeps): HostRepository {
  return new StoredHosts(deps);
}

class StoredHosts implements HostRepository {
  /** Owner epochs in force, by host uuid. */
  readonly #epochs = new Map<string, number>();

  constructor(private readonly deps: RepositoryDeps) {}

  async claimAll(): Promise<void> {
    await this.deps.store.transaction(async (tx) => {
      await tx
        .updateTable('hosts')
        .set({ ownerUuid: this.deps.owner.uuid, ownerEpoch: sql<number>`"ownerEpoch" + 1` })
        .execute();
      const rows = await tx.selectFrom('hosts').select(['uuid', 'ownerEpoch']).execute();
      for (const row of rows) this.#epochs.set(row.uuid, row.ownerEpoch);
    });
  }

  async insert(host: Host, on: Queryable): Promise<void> {
    const owned = { ...host, ownerUuid: this.deps.owner.uuid, ownerEpoch: 1 };
    await on.insertInto('hosts').values(rowOfHost(owned)).execute();
    this.#epochs.set(host.uuid, 1);
  }

  async find(hostUuid: string, on: Queryable = this.deps.store.db): Promise<Host | undefined> {
    const query = on.selectFrom('hosts').selectAll().where('uuid', '=', hostUuid);
    const row = await query.executeTakeFirst();
    return row === undefined ? undefined : hostOfRow(row);
  }

  async get(hostUuid: string, on?: Queryable): Promise<Host> {
    const host = await this.find(hostUuid, on);
    if (host === undefined) throw noSuchHost(hostUuid);
    return host;
  }

  async list(
    filter: { clusterUuid?: string } = {},
    on: Queryable = this.deps.store.db,
  ): Promise<Host[]> {
    let query = on.selectFrom('hosts').selectAll().orderBy('name').orderBy('uuid');
    if (filter.clusterUuid !== undefined)
      query = query.where('clusterUuid', '=', filter.clusterUuid);
    return (await query.execute()).map(hostOfRow);
  }

  async update(hostUuid: string, fields: HostFields, on?: Queryable): Promise<void> {
    await this.#write(hostUuid, columnsOf(fields), on ?? this.deps.store.db);
  }

  setStatus(hostUuid: string, to: HostStatus, reason: string): Promise<void> {
    return this.deps.store.transaction(async (tx) => {
      const host = await this.get(hostUuid, tx);
      const change = statusChange(host.status, to);
      if (change === undefined) return;
      await this.#write(hostUuid, { status: to }, tx);
      await this.deps.events.record(statusEvent(host, { ...change, reason }), tx);
    });
  }

  applyState(hostUuid: string, event: StateEvent, reason: string): Promise<HostState> {
    return this.deps.store.transaction(async (tx) => {
      const host = await this.get(hostUuid, tx);
      const to = nextState(host.state, event);
      if (to === host.state) return to;
      await this.#write(hostUuid, { state: to }, tx);
      const text = `host ${host.name}: ${host.state} → ${to} (${reason})`;
      const facts = { from: host.state, to, reason };
      await this.deps.events.record({ kind: 'host.state', hostUuid, text, facts }, tx);
      return to;
    });
  }

  applyLiveness(hostUuid: string, arrow: LivenessArrow, reason: string): Promise<Host> {
    return this.deps.store.transaction(async (tx) => {
      const host = await this.get(hostUuid, tx);
      const change = livenessArrows[arrow](host.liveness, reason);
      if (change === undefined) return host;
      await this.#write(hostUuid, { liveness: change.to, livenessReason: reason }, tx);
      await this.deps.events.record(livenessEvent(host, change.to, reason), tx);
      return { ...host, liveness: change.to, livenessReason: reason };
    });
  }

  async noteSignsOfLife(signs: SignsOfLife): Promise<void> {
    await this.deps.store.transaction(async (tx) => {
      for (const { hostUuid, at } of signs)
        await tx
          .updateTable('hosts')
          .set({ lastSignOfLifeAt: at })
          .where('uuid', '=', hostUuid)
          .where('ownerUuid', '=', this.deps.owner.uuid)
          .where('ownerEpoch', '=', this.#epochs.get(hostUuid) ?? -1)
          .execute();
    });
  }

  async remove(hostUuid: string, on: Queryable): Promise<void> {
    const { numDeletedRows } = await on
      .deleteFrom('hosts')
      .where('uuid', '=', hostUuid)
      .where('ownerUuid', '=', this.deps.owner.uuid)
      .where('ownerEpoch', '=', this.#epochs.get(hostUuid) ?? -1)
      .executeTakeFirst();
    if (numDeletedRows === 0n) throw await this.#whyNotWritten(hostUuid, on);
  }

  // safety: a node that lost the host must not write over what its new owner has learned.
  async #write(hostUuid: string, columns: Partial<HostsTable>, on: Queryable): Promise<void> {
    const { numUpdatedRows } = await on
      .updateTable('hosts')
      .set(columns)
      .where('uuid', '=', hostUuid)
      .where('ownerUuid', '=', this.deps.owner.uuid)
      .where('ownerEpoch', '=', this.#epochs.get(hostUuid) ?? -1)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw await this.#whyNotWritten(hostUuid, on);
  }

  async #whyNotWritten(hostUuid: string, on: Queryable): Promise<DomainError> {
    if ((await this.find(hostUuid, on)) === undefined) return noSuchHost(hostUuid);
    return new DomainError('CONFLICT', 'another management node owns this host now', { hostUuid });
  }
}

function statusEvent(host: Host, facts: { from: HostStatus; to: HostStatus; reason: string }) {
  return {
    kind: 'host.status' as const,
    severity: facts.to === 'Disconnected' ? ('warning' as const) : ('info' as const),
    hostUuid: host.uuid,
    text: `host ${host.name}: ${facts.from} → ${facts.to} (${facts.reason})`,
    facts,
  };
}

function livenessEvent(host: Host, to: Host['liveness'], reason: string) {
  const severity = to === 'online' || to === 'late' ? ('info' as const) : ('warning' as const);
  return {
    kind: 'host.liveness' as const,
    severity,
    hostUuid: host.uuid,
    text: `host ${host.name}: ${host.liveness} → ${to} (${reason})`,
    facts: { from: host.liveness, to, reason },
  };
}

function noSuchHost(hostUuid: string): DomainError {
  return new DomainError('NOT_FOUND', `there is no host ${hostUuid}`, { hostUuid });
}

/** A host as it is when it was just added (C2: Disconnected until its first connect). */
export function newHostRow(
  fields: Pick<
    Host,
    'uuid' | 'clusterUuid' | 'name' | 'addresses' | 'agentPort' | 'sshPort' | 'sshUsername'
  >,
  clock: Clock,
): Host {
  return {
    ...fields,
    hypervisor: 'KVM',
    sshHostKeys: [],
    fencePublicKey: null,
    nextFencePublicKey: null,
    doorPort: null,
    status: 'Disconnected',
    state: 'Enabled',
    liveness: 'late',
    livenessReason: 'it was added and has not been connected yet',
    quarantinedUntil: null,
    bootId: null,
    pidNamespace: null,
    agentInstance: null,
    agentVersion: null,
    cpus: null,
    memoryMiB: null,
    lastSignOfLifeAt: null,
    reconnectsEnded: 0,
    connectFailure: null,
    hookWorking: null,
    hookWhy: '',
    ownerUuid: null,
    ownerEpoch: 0,
    createdAt: isoNow(clock),
  };
}
