import { DomainError } from '@fenceline/protocol';
import type { HostState, HostStatus } from '../store/schema.js';

/**
 * C1: any status may follow any. Answers the change, or undefined where nothing changes (then
 * there is no event either).
 */
export function statusChange(
  from: HostStatus,
  to: HostStatus,
): { from: HostStatus; to: HostStatus } | undefined {
  return from === to ? undefined : { from, to };
}

export const STATE_EVENTS = ['enable', 'disable', 'preMaintain', 'maintain'] as const;
export type StateEvent = (typeof STATE_EVENTS)[number];

/** C1: the legal events of a host's state; what is not listed is refused. */
const STATE_TABLE: Record<HostState, Partial<Record<StateEvent, HostState>>> = {
  Enabled: { enable: 'Enabled', disable: 'Disabled', preMaintain: 'PreMaintenance' },
  Disabled: { enable: 'Enabled', disable: 'Disabled', preMaintain: 'PreMaintenance' },
  PreMaintenance: { enable: 'Enabled', disable: 'Disabled', maintain: 'Maintenance' },
  Maintenance: { enable: 'Enabled', disable: 'Disabled' },
};

/** @throws DomainError CONFLICT if the event is not legal in this state. */
export function nextState(state: HostState, event: StateEvent): HostState {
  const next = STATE_TABLE[state][event];
  if (next === undefined)
    throw new DomainError('CONFLICT', `a host in state ${state} does not accept "${event}"`, {
      state,
      event,
    });
  return next;
}
