import { expect, test } from '@jest/globals';
import { DomainError, HOST_STATUSES, type HostState } from '@fenceline/protocol';
import { nextState, statusChange, type StateEvent } from './statusRules.js';

test('C1: any status may follow any, and no change is no event', () => {
  for (const from of HOST_STATUSES)
    for (const to of HOST_STATUSES)
      expect(statusChange(from, to)).toEqual(from === to ? undefined : { from, to });
});

const table: [HostState, StateEvent, HostState | undefined, string][] = [
  // state            event          next               why
  ['Enabled', 'enable', 'Enabled', 'asking twice is harmless'],
  ['Enabled', 'disable', 'Disabled', 'no new VMs'],
  ['Enabled', 'preMaintain', 'PreMaintenance', 'first its VMs have to leave'],
  ['Enabled', 'maintain', undefined, 'its VMs have not left yet'],
  ['Disabled', 'enable', 'Enabled', 'back in service'],
  ['Disabled', 'disable', 'Disabled', 'asking twice is harmless'],
  ['Disabled', 'preMaintain', 'PreMaintenance', 'a disabled host still runs VMs'],
  ['Disabled', 'maintain', undefined, 'its VMs have not left yet'],
  ['PreMaintenance', 'enable', 'Enabled', 'called off'],
  ['PreMaintenance', 'disable', 'Disabled', 'called off'],
  ['PreMaintenance', 'preMaintain', undefined, 'a second evacuation would race the first'],
  ['PreMaintenance', 'maintain', 'Maintenance', 'its VMs have left'],
  ['Maintenance', 'enable', 'Enabled', 'leaving maintenance'],
  ['Maintenance', 'disable', 'Disabled', 'leaving maintenance, without new VMs'],
  ['Maintenance', 'preMaintain', undefined, 'already past it'],
  ['Maintenance', 'maintain', undefined, 'already there'],
];

test.each(table)('C1: %s + %s → %s: %s', (state, event, next) => {
  if (next === undefined) expect(() => nextState(state, event)).toThrow(DomainError);
  else expect(nextState(state, event)).toBe(next);
});
