import { sleep, type Clock } from '@fenceline/common';
import type { VmSeen } from '@fenceline/protocol';

/** Tells when a run is seen running by its host's agent (D13). */
export interface RunWatch {
  /** The tracking reports what a host's agent listed or announced. */
  seen(hostUuid: string, vm: VmSeen): void;
  /**
   * Resolves true when the run was seen running after this call, false when `limitMs` passed.
   * `ask` is for an event that came earlier or was lost; it is called at once and now and then.
   */
  waitFor(wanted: WantedRun, ask: () => Promise<VmSeen | undefined>): Promise<boolean>;
}

export interface WantedRun {
  hostUuid: string;
  vmUuid: string;
  epoch: number;
  limitMs: number;
  signal: AbortSignal;
}

const ASK_EVERY_MS = 1_000;

export function makeRunWatch(clock: Clock): RunWatch {
  const waiters = new Set<(hostUuid: string, vm: VmSeen) => void>();
  return {
    seen: (hostUuid, vm) => {
      for (const waiter of waiters) waiter(hostUuid, vm);
    },
    waitFor: async (wanted, ask) => {
      const done = new AbortController();
      const both = AbortSignal.any([wanted.signal, done.signal]);
      const listen = (hostUuid: string, vm: VmSeen): void => {
        if (hostUuid === wanted.hostUuid && isRunning(vm, wanted)) done.abort(new Error('seen'));
      };
      waiters.add(listen);
      try {
        const endMs = clock.monotonicMs() + wanted.limitMs;
        while (!both.aborted && clock.monotonicMs() < endMs) {
          // At once: its event may have come before the start's answer, and comes only once.
          const vm = await ask();
          if (vm !== undefined && isRunning(vm, wanted)) return true;
          await sleep(clock, ASK_EVERY_MS, both).catch(() => undefined);
        }
        return done.signal.aborted;
      } finally {
        waiters.delete(listen);
      }
    },
  };
}

function isRunning(vm: VmSeen, wanted: Pick<WantedRun, 'vmUuid' | 'epoch'>): boolean {
  return vm.vmUuid === wanted.vmUuid && vm.state === 'Running' && vm.epoch === wanted.epoch;
}
