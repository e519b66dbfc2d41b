import { messageOf, sleep, type Clock } from '@fenceline/common';
import type { HostPresence } from '../../hosts/contracts.js';
import type { SettingsSource } from '../../settings/settings.js';
import { proofByPower } from '../proofs/byPower.js';
import type { Run } from '../../vms/runs/run.js';
import type { LevelReading, PowerControl } from '../power/powerControl.js';
import type { ChannelResult, ProofChannel, ProofRequest } from './channel.js';

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
        await untilAllowed(deps, request, signal);
        // Asked again: the host may have come back during the wait.
        const barred = barredBy(request) ?? request.heldBack();
        if (barred !== undefined) return { channel: name, why: barred };
        if (signal.aborted) return { channel: name, why: 'not needed any more' };
        const readings = await deps.power.switchOff(run.hostUuid, {
          wanted: () => !signal.aborted && barredBy(request) === undefined,
          heldBack: () => barredBy(request) ?? request.heldBack(),
        });
        return judgeLevels(deps, run, readings);
      } catch (thrown) {
        return { channel: name, why: messageOf(thrown) };
      }
    },
  };
}

/** The first level that proves it; else what each of them read. */
function judgeLevels(
  { presence }: PowerChannelDeps,
  run: Run,
  readings: readonly LevelReading[],
): ChannelResult {
  const channel = 'power';
  const reasons: string[] = [];
  for (const reading of readings) {
    const lastSignOfLifeMs = presence.lastSignOfLifeMs(run.hostUuid);
    const judged = proofByPower(run, { ...reading, lastSignOfLifeMs });
    if ('proof' in judged) {
      const why = reading.devices.length === 1 ? 'the power device reads' : 'all its feeds read';
      return { channel, proof: judged.proof, why: `${why} off` };
    }
    reasons.push(
      readings.length === 1 ? judged.refused : `level ${reading.level}: ${judged.refused}`,
    );
    const cut = reading.devices.filter(({ readBack }) => readBack === 'off').length;
    if (cut > 0) reasons.push(`${cut} of its feeds stay off`);
  }
  return { channel, why: reasons.join('; ') };
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
  { run, clusterUuid }: ProofRequest,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const last = presence.lastSignOfLifeMs(run.hostUuid);
    if (last === undefined) return;
    const leftMs = last + settings.current(clusterUuid).ha.power.afterMs - clock.monotonicMs();
    if (leftMs <= 0) return;
    await sleep(clock, leftMs, signal);
  }
}
