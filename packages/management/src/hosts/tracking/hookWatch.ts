import type { HookState } from '@fenceline/protocol';
import type { Events } from '../../telemetry/events.js';
import type { HostRepository } from '../repository.js';
import type { Lane } from './lane.js';

export interface HookWatchDeps {
  events: Events;
  repository: HostRepository;
}

/** What one host's heartbeats tell of its libvirt hook, stored and told when it changes. */
export class HookWatch {
  #last: HookState | undefined;

  constructor(
    private readonly deps: HookWatchDeps & { lane: Lane },
    private readonly hostUuid: string,
  ) {}

  /** @param hook undefined: this item says nothing of it. */
  seen(hook: HookState | undefined): void {
    const same = hook?.working === this.#last?.working && hook?.why === this.#last?.why;
    if (hook === undefined || same) return;
    this.#last = hook;
    const note = (): Promise<void> => noteHook(this.deps, this.hostUuid, hook);
    this.deps.lane.run('hook', note, () => this.#last === hook);
  }
}

/** Another state than the stored one is stored, with an event if it works no more, or again. */
async function noteHook(
  { events, repository }: HookWatchDeps,
  hostUuid: string,
  { working, why = '' }: HookState,
): Promise<void> {
  const host = await repository.get(hostUuid);
  const before = host.hookWorking;
  const now = working ? 1 : 0;
  if (before === now && host.hookWhy === why) return;
  await repository.update(hostUuid, { hookWorking: now, hookWhy: why });
  if (before === now) return;
  await events.record(
    working
      ? {
          kind: 'host.hookWorks',
          hostUuid,
          text: `the libvirt hook of host ${host.name} works`,
        }
      : {
          kind: 'host.hookFailed',
          severity: 'warning',
          hostUuid,
          text:
            `the libvirt hook of host ${host.name} does not work: ${why}; ` +
            'protected VMs can be started there by hand',
        },
  );
}
