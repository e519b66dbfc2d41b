import { type Clock, type Timer } from '@fenceline/common';
import type { Run } from '../../vms/runs/run.js';
import type { Attempt } from './context.js';

/** How often it is looked whether what is under way is still wanted, ms. */
const LOOK_EVERY_MS = 250;

type Asker = Pick<Attempt, 'deps' | 'vm'> & { judger: Attempt['message']['judger'] };

/**
 * Why a run whose host gave no answer about it may not be fenced now; undefined: it may.
 * safety: only a judgement in force lets anything automatic kill what may live: a host that came
 * back, or was never missed, may run its VM in good health.
 */
export function hostHolds({ deps, vm, judger }: Asker, run: Run): string | undefined {
  const judgement = deps.judgementOf(run.hostUuid);
  if (judgement?.action === 'fence') return undefined;
  const { action, why, inputs } = judgement ?? {};
  if (action === 'closeRebooted' && inputs?.bootId !== run.bootId) return undefined;
  if (judger !== 'manual')
    return judgement === undefined
      ? 'its host is not judged'
      : `its host is not judged to be fenced: ${why ?? ''}`;
  // A person's order may need a fence that nobody has judged; a VM that is seen alive is no such case.
  const live = deps.presence.liveVms(run.hostUuid) ?? [];
  return live.some((seen) => seen.vmUuid === vm.uuid) ? 'its host shows it alive' : undefined;
}

/** Fires when something holds the work back, with that as its reason; to be stopped at the end. */
export function callOffWhen(
  clock: Clock,
  heldBack: () => string | undefined,
): { signal: AbortSignal; stop: () => void } {
  const off = new AbortController();
  let timer: Timer | undefined;
  const look = (): void => {
    const why = heldBack();
    if (why === undefined) timer = clock.after(LOOK_EVERY_MS, look);
    else off.abort(new Error(why));
  };
  look();
  return { signal: off.signal, stop: () => timer?.cancel() };
}
