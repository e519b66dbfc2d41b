import { isUuid, isAddress, dashed, DomainError } from '@fenceline/protocol';
import { messageOf, type Clock, type Logger, type Random } from '@fenceline/common';
import type { MessageBus } from '../messages/bus.js';
import type { SettingsSource } from '../settings/settings.js';
import type { HostState } from '../store/schema.js';
import type { Queryable, Store } from '../store/store.js';
import type { Events } from '../telemetry/events.js';
import { connectMessage, reconnectMessage } from './connect/messages.js';
import type { Host } from './host.js';
import type { HostLogins, NewHostLogin } from './hostLogins.js';
import type { RotateKey } from './keyRotation.js';
import type { PowerLevel } from '../fencing/power/powerTopology.js';
import { checkedDevice, checkedLevels, type NewPowerDevice } from './newPower.js';
import type { InventoryRepository } from './inventoryRepository.js';
import type { VerifyPower } from './powerVerify.js';
import { newHostRow, type HostRepository } from './repository.js';
import type { StateEvent } from './statusRules.js';

export interface NewHost {
  /** A new one is made if absent. */
  uuid?: string;
  name: string;
  clusterUuid: string;
  /** At least one; the first is the one to dial. */
  addresses: readonly string[];
  agentPort: number;
  sshPort: number;
  sshUsername: string;
  powerDevice?: NewPowerDevice;
}

/** Adding, changing and removing hosts: what people do to them. */
export interface HostInventory {
  /**
   * Stores the host (Enabled, Disconnected) and begins to connect it; resolves when the row is
   * durable. How the connect ended is told by status and events.
   * @throws DomainError BAD_INPUT, NOT_FOUND (cluster), CONFLICT (name, address, uuid or outlet is taken).
   */
  add(host: NewHost): Promise<{ hostUuid: string }>;
  list(filter?: { clusterUuid?: string }): Promise<Host[]>;
  /** @throws DomainError NOT_FOUND */
  show(hostUuid: string): Promise<Host>;
  /** Begins a reconnect, or joins the one under way, and returns. @throws DomainError NOT_FOUND */
  reconnect(hostUuid: string): Promise<void>;
  setState(hostUuid: string, state: Extract<HostState, 'Enabled' | 'Disabled'>): Promise<void>;
  /** C1. @throws DomainError CONFLICT (illegal), REFUSED (maintain while a run there is open). */
  changeState(hostUuid: string, event: StateEvent, reason: string): Promise<HostState>;
  /** F40. @throws DomainError REFUSED while a run there is open; NOT_FOUND */
  remove(hostUuid: string): Promise<void>;
  /**
   * Replaces the host's power devices: levels in the order in which they are tried, the devices of
   * one of which must all be off together; none at all takes them away. They prove nothing until
   * they are verified. @throws DomainError BAD_INPUT naming level and device, never a value; CONFLICT
   * naming the host that has one of these outlets already.
   */
  setPowerLevels(hostUuid: string, levels: readonly (readonly NewPowerDevice[])[]): Promise<void>;
  powerLevels(hostUuid: string): Promise<readonly PowerLevel[]>;
  verifyPower: VerifyPower;
  rotateKey: RotateKey;
  /** F30: for siblings of a host without an entry for their keys. @throws DomainError NOT_FOUND */
  setLogin(hostUuid: string, login: NewHostLogin): Promise<void>;
  removeLogin(hostUuid: string): Promise<void>;
}

export interface InventoryDeps {
  store: Store;
  clock: Clock;
  random: Random;
  log: Logger;
  events: Events;
  bus: MessageBus;
  settings: SettingsSource;
  repository: HostRepository;
  inventory: InventoryRepository;
  verifyPower: VerifyPower;
  rotateKey: RotateKey;
  logins: HostLogins;
  /** The host's row is gone: forget it everywhere, tell its siblings. */
  removed: (host: Host) => Promise<void>;
}

export function makeInventory(deps: InventoryDeps): HostInventory {
  const { repository, inventory, settings, bus } = deps;
  const changeState: HostInventory['changeState'] = async (hostUuid, event, reason) => {
    const before = await repository.get(hostUuid);
    if (event === 'maintain') await refuseOpenRuns(deps, before, { what: 'go into maintenance' });
    const state = await repository.applyState(hostUuid, event, reason);
    if (before.state === 'Maintenance' && state !== 'Maintenance') {
      const ask = { hostUuid, calledBy: 'maintenance' } as const;
      inBackground(deps, bus.send('ReconnectHost', reconnectMessage(settings.current(), ask)));
    }
    return state;
  };
  return {
    add: (host) => add(deps, host),
    list: (filter) => repository.list(filter),
    show: (hostUuid) => repository.get(hostUuid),
    async reconnect(hostUuid) {
      await repository.get(hostUuid);
      const ask = { hostUuid, calledBy: 'api' } as const;
      inBackground(deps, bus.send('ReconnectHost', reconnectMessage(settings.current(), ask)));
    },
    async setState(hostUuid, state) {
      await changeState(hostUuid, state === 'Enabled' ? 'enable' : 'disable', 'asked by a person');
    },
    changeState,
    remove: (hostUuid) => remove(deps, hostUuid),
    setPowerLevels: (hostUuid, levels) => setPowerLevels(deps, hostUuid, levels),
    powerLevels: (hostUuid) => inventory.powerLevels(hostUuid),
    verifyPower: deps.verifyPower,
    rotateKey: deps.rotateKey,
    async setLogin(hostUuid, login) {
      await repository.get(hostUuid);
      await deps.logins.set(hostUuid, login);
    },
    removeLogin: (hostUuid) => deps.logins.remove(hostUuid),
  };
}

async function setPowerLevels(
  { store, repository, inventory, events }: InventoryDeps,
  hostUuid: string,
  levels: readonly (readonly NewPowerDevice[])[],
): Promise<void> {
  const { name } = await repository.get(hostUuid);
  const checked = checkedLevels(levels);
  // One transaction: of two hosts that name one outlet at a time only one gets it.
  await store.transaction(async (tx) => {
    await inventory.refuseForeignOutlets(hostUuid, checked, tx);
    await inventory.setPowerLevels(hostUuid, checked, tx);
  });
  const devices = checked.flat().length;
  const text =
    devices === 0
      ? `host ${name} has no power device any more`
      : `host ${name} got ${devices} power device(s) in ${checked.length} level(s); not verified`;
  const facts = { levels: checked.length, devices };
  await events.record({ kind: 'host.powerSet', hostUuid, text, facts });
}

async function add(deps: InventoryDeps, asked: NewHost): Promise<{ hostUuid: string }> {
  const { store, repository, inventory, events, settings, bus } = deps;
  const { powerDevice, ...fields } = checkedHost(asked);
  const config = powerDevice === undefined ? undefined : checkedDevice(powerDevice);
  const hostUuid = asked.uuid === undefined ? deps.random.uuid() : dashed(asked.uuid);
  const host = newHostRow({ ...fields, uuid: hostUuid }, deps.clock);
  await store.transaction(async (tx) => {
    await inventory.cluster(host.clusterUuid, tx);
    await refuseTaken(deps, host, tx);
    await repository.insert(host, tx);
    if (config !== undefined) {
      await inventory.refuseForeignOutlets(hostUuid, [[config]], tx);
      await inventory.setPowerLevels(hostUuid, [[config]], tx);
    }
    const text = `host ${host.name} (${host.addresses.join(', ')}) was added`;
    await events.record({ kind: 'host.added', hostUuid, text }, tx);
  });
  // C4: without the reconnect marker.
  const message = connectMessage(settings.current(), { hostUuid, newAdd: true });
  inBackground(deps, bus.send('ConnectHost', message));
  return { hostUuid };
}

async function refuseTaken(deps: InventoryDeps, host: Host, tx: Queryable): Promise<void> {
  for (const other of await deps.repository.list({}, tx)) {
    const taken = takenBy(host, other);
    if (taken === undefined) continue;
    const text = `${taken} belongs to host ${other.name} already`;
    throw new DomainError('CONFLICT', text, { hostUuid: other.uuid });
  }
}

function takenBy(host: Host, other: Host): string | undefined {
  if (other.uuid === host.uuid) return `the uuid ${host.uuid}`;
  if (other.name === host.name) return `the name ${host.name}`;
  const address = host.addresses.find((address) => other.addresses.includes(address));
  const same = address !== undefined && other.agentPort === host.agentPort;
  return same ? `the address ${address}:${host.agentPort}` : undefined;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** @throws DomainError BAD_INPUT with every problem at once. */
function checkedHost(host: NewHost): NewHost {
  const problems = [
    host.uuid === undefined || isUuid(host.uuid) ? '' : 'uuid: must be a uuid',
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(host.name) ? '' : 'name: letters, digits, . _ -',
    host.addresses.length > 0 && host.addresses.length <= 16 ? '' : 'addresses: 1 to 16',
    host.addresses.every(isAddress) ? '' : 'addresses: each an IP address or a host name',
    isPort(host.agentPort) ? '' : 'agentPort: 1 to 65535',
    isPort(host.sshPort) ? '' : 'sshPort: 1 to 65535',
    /^[a-z_][a-z0-9_-]{0,31}$/.test(host.sshUsername) ? '' : 'sshUsername: a Linux user name',
  ].filter((problem) => problem !== '');
  if (problems.length > 0) throw new DomainError('BAD_INPUT', problems.join('; '));
  const { uuid: _, ...fields } = host;
  return { ...fields, addresses: [...new Set(host.addresses)] };
}

async function remove(deps: InventoryDeps, hostUuid: string): Promise<void> {
  const { store, repository, inventory, events } = deps;
  const host = await store.transaction(async (tx) => {
    const host = await repository.get(hostUuid, tx);
    // safety: F40; the ledger would name a host that nobody can fence any more.
    await refuseOpenRuns(deps, host, { what: 'be removed', on: tx });
    // safety: F41: a sign of life of a host that is gone from here would not be seen any more.
    const words = await inventory.unusedWords(hostUuid, tx);
    if (words > 0)
      throw new DomainError(
        'REFUSED',
        `host ${host.name} was judged dead by silence, and ${words} of its VMs do not run elsewhere yet`,
      );
    await inventory.setPowerLevels(hostUuid, [], tx);
    await deps.logins.remove(hostUuid, tx);
    await repository.remove(hostUuid, tx);
    const text = `host ${host.name} was removed`;
    await events.record({ kind: 'host.removed', hostUuid, text }, tx);
    return host;
  });
  await deps.removed(host);
}

async function refuseOpenRuns(
  { inventory }: InventoryDeps,
  host: Host,
  { what, on }: { what: string; on?: Queryable },
): Promise<void> {
  const runs = await inventory.openRuns(host.uuid, on);
  if (runs.length === 0) return;
  throw new DomainError(
    'REFUSED',
    `host ${host.name} can't ${what}: ${runs.length} runs of VMs there are not proven over; ` +
      'move or stop them, or confirm the host dead',
    { openRuns: runs.length },
  );
}

/** What goes on by itself; its end is told by status and events. */
function inBackground({ log }: InventoryDeps, work: Promise<unknown>): void {
  work.catch((thrown: unknown) =>
    log.error('background work failed', { error: messageOf(thrown) }),
  );
}
