import { messageOf, sleep, type Clock } from '@fenceline/common';
import type { HostPresence } from '../../hosts/contracts.js';
import type { SettingsSource } from '../../settings/settings.js';
import { proofByPower } from '../proofs/byPower.js';
import type { PowerControl } from '../powerControl.js';
import type { ProofChannel, ProofRequest } from './channel.js';

export interface PowerChannelDeps {
  power: PowerControl;
  presence: HostPresence;
  settings: SettingsSource;
  clock: Clock;
}

/** The host is switched off and read back as off: only when the *host* is suspect. */
export function powerChannel(deps: PowerChannelDeps): ProofChannel {
  const name = 'power';
  return {
    name,
    barredBy,
    prove: async (request, signal) => {
      const { run } = request;
      try {
        const problem = await deps.power.problem(run.hostUuid);
        if (problem !== undefined) return { channel: name, why: problem };
        await untilAllowed(deps, run.hostUuid, signal);
        // Asked again: the host may have come back during the wait.
        const barred = barredBy(request);
        if (barred !== undefined) return { channel: name, why: barred };
        const reading = await deps.power.switchOff(run.hostUuid);
        const judged = proofByPower(run, {
          ...reading,
          lastSignOfLifeMs: deps.presence.lastSignOfLifeMs(run.hostUuid),
        });
        return 'proof' in judged
          ? { channel: name, proof: judged.proof, why: 'the power device reads off' }
          : { channel: name, why: judged.refused };
      } catch (thrown) {
        return { channel: name, why: messageOf(thrown) };
      }
    },
  };
}

/** safety: power never for one VM of a healthy host; the evidence matrix must have named it. */
function barredBy({ judgementNow }: ProofRequest): string | undefined {
  const judgement = judgementNow();
  return judgement?.action === 'fence' && judgement.channels.includes('power')
    ? undefined
    : 'its host is not judged dead, so its power is not touched';
}

/** `ha.power.afterMs` since the last sign of life: a host that comes back is not switched off. */
async function untilAllowed(
  { presence, settings, clock }: PowerChannelDeps,
  hostUuid: string,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const last = presence.lastSignOfLifeMs(hostUuid);
    if (last === undefined) return;
    const leftMs = last + settings.current().ha.power.afterMs - clock.monotonicMs();
    if (leftMs <= 0) {
      if (signal.aborted) throw new Error('not needed any more');
      return;
    }
    await sleep(clock, leftMs, signal);
  }
}
