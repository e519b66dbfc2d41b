import { unreachable } from '@fenceline/common';
import type { HaStartVmInstanceMsg } from '../messages/types.js';
import type { Vm } from '../vms/vm.js';

export type Judgement = { decision: 'start' } | { decision: 'leave'; why: string };

/** Asked once, first: is this VM to be brought back? No look at the world, only at wishes. */
export function judge(
  vm: Pick<Vm, 'name' | 'level' | 'stoppedByPerson'>,
  message: Pick<HaStartVmInstanceMsg, 'judger'>,
): Judgement {
  switch (message.judger) {
    case 'manual':
      // A start takes an older stop back before it asks; so this stop is the newer wish.
      if (vm.stoppedByPerson) return leave(`${vm.name} was stopped by a person`);
      return { decision: 'start' };
    case 'host-failure':
      if (vm.stoppedByPerson) return leave(`${vm.name} was stopped by a person`);
      return vm.level === 'none' ? leave(`${vm.name} is not protected`) : { decision: 'start' };
    case 'vm-crash':
      if (vm.stoppedByPerson) return leave(`${vm.name} was stopped by a person`);
      return vm.level === 'neverStop'
        ? { decision: 'start' }
        : leave(`the level of ${vm.name} is ${vm.level}`);
    default:
      return unreachable(message.judger);
  }
}

function leave(why: string): Judgement {
  return { decision: 'leave', why };
}
