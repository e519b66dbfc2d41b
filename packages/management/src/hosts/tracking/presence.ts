import type { Clock, MonotonicMs } from '@fenceline/common';
import type { VmSeen, WatchItem } from '@fenceline/protocol';
import type { HostPresence } from '../contracts.js';

/** A list that no stream keeps current is fresh for this long, ms. */
const LIST_FRESH_MS = 5_000;

interface Seen {
  lastSignMs?: MonotonicMs;
  /** Wall time of it, and whether the row has it. */
  lastSignAtMs?: number;
  stored?: boolean;
  bootId?: string;
  heartbeat?: WatchItem;
  streamUp: boolean;
  vms?: Map<string, VmSeen>;
  /** When the list was read, and whether a stream has kept it current since. */
  listedMs?: MonotonicMs;
  followed: boolean;
}

/** The memory behind `HostPresence`; only the tracking writes to it. */
export class Presence implements HostPresence {
  readonly #hosts = new Map<string, Seen>();

  constructor(private readonly clock: Clock) {}

  lastSignOfLifeMs(hostUuid: string): MonotonicMs | undefined {
    return this.#hosts.get(hostUuid)?.lastSignMs;
  }

  noteSignOfLife(hostUuid: string, _what: string): void {
    const seen = this.#of(hostUuid);
    seen.lastSignMs = this.clock.monotonicMs();
    seen.lastSignAtMs = this.clock.wallMs();
    seen.stored = false;
  }

  linkUp(hostUuid: string): boolean {
    return this.#hosts.get(hostUuid)?.streamUp === true;
  }

  bootId(hostUuid: string): string | undefined {
    return this.#hosts.get(hostUuid)?.bootId;
  }

  lastHeartbeat(hostUuid: string): WatchItem | undefined {
    return this.#hosts.get(hostUuid)?.heartbeat;
  }

  setHeartbeat(hostUuid: string, item: WatchItem): void {
    this.#of(hostUuid).heartbeat = item;
  }

  // safety: a list that nothing keeps current is no list; a start elsewhere relies on it (F38).
  liveVms(hostUuid: string): readonly VmSeen[] | undefined {
    const seen = this.#hosts.get(hostUuid);
    if (seen?.vms === undefined || seen.listedMs === undefined) return undefined;
    const current =
      (seen.followed && seen.streamUp) || this.clock.monotonicMs() - seen.listedMs <= LIST_FRESH_MS;
    return current ? [...seen.vms.values()].filter(({ hasProcess }) => hasProcess) : undefined;
  }

  heard(hostUuid: string, bootId: string): void {
    const seen = this.#of(hostUuid);
    // safety: what ran under another boot says nothing about this one.
    if (seen.bootId !== bootId) this.forgetList(hostUuid);
    seen.bootId = bootId;
    this.noteSignOfLife(hostUuid, 'heartbeat');
  }

  setStream(hostUuid: string, up: boolean): void {
    const seen = this.#of(hostUuid);
    seen.streamUp = up;
    if (!up) seen.followed = false;
  }

  setList(hostUuid: string, list: { vms: readonly VmSeen[]; followed: boolean }): void {
    const seen = this.#of(hostUuid);
    seen.vms = new Map(list.vms.map((vm) => [vm.vmUuid, vm]));
    seen.listedMs = this.clock.monotonicMs();
    seen.followed = list.followed;
  }

  applyVm(hostUuid: string, vm: VmSeen): void {
    this.#hosts.get(hostUuid)?.vms?.set(vm.vmUuid, vm);
  }

  forgetList(hostUuid: string): void {
    const seen = this.#of(hostUuid);
    delete seen.vms;
    delete seen.listedMs;
    seen.followed = false;
  }

  forget(hostUuid: string): void {
    this.#hosts.delete(hostUuid);
  }

  /** Signs of life that the store does not have yet, ISO 8601; each is handed out once. */
  takeUnstored(): { hostUuid: string; at: string }[] {
    return [...this.#hosts].flatMap(([hostUuid, seen]) => {
      if (seen.stored !== false || seen.lastSignAtMs === undefined) return [];
      seen.stored = true;
      return [{ hostUuid, at: new Date(seen.lastSignAtMs).toISOString() }];
    });
  }

  #of(hostUuid: string): Seen {
    const seen = this.#hosts.get(hostUuid) ?? { streamUp: false, followed: false };
    this.#hosts.set(hostUuid, seen);
    return seen;
  }
}
