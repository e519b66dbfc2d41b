import type { HookState } from '@fenceline/protocol';
import type { Events } from '../../telemetry/events.js';
import type { HostRepository } from '../repository.js';

export interface HookWatchDeps {
  events: Events;
  repository: HostRepository;
}

/** The hook's state as a heartbeat told it, stored when it is another one; with an event. */
export async function noteHook(
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
