import { sleep, type Clock } from '@fenceline/common';
import type { FenceTarget } from '@fenceline/protocol';
import { judgeSigns, type SignsJudgement } from './judgeSigns.js';
import type { SignsOfLife } from './signsOfLife.js';

/** A login usually succeeds sooner than this; only then nothing else needs to be asked. */
const HEAD_START_MS = 75;
const DEFAULT_AGENT_PORT = 7_070;
const DEFAULT_SSH_PORT = 22;

export interface AskSigns {
  clock: Clock;
  signs: SignsOfLife;
  target: FenceTarget;
  /** Without those that are this host's own. */
  addresses: readonly string[];
  /** Milliseconds that are left of the whole call. */
  leftMs: number;
  signal: AbortSignal;
}

/**
 * Looks for signs of life of the suspect and of its siblings on the same nets, at the same time,
 * for `connectTimeoutMs` (F23). Undefined if the signal fired first. Never throws.
 */
export async function askSigns(ask: AskSigns): Promise<SignsJudgement | undefined> {
  const { clock, signs, target, signal } = ask;
  const withinMs = target.connectTimeoutMs - HEAD_START_MS;
  try {
    await sleep(clock, HEAD_START_MS, signal);
  } catch {
    return undefined;
  }
  // safety: F23: a look that is cut short has not waited long enough to call anything unreachable
  if (withinMs <= 0 || target.connectTimeoutMs > ask.leftMs)
    return { kind: 'ambiguous', why: 'not enough time to look for signs of life' };
  const limits = { withinMs, signal };
  const ports = [target.targetHostSshPort, target.targetAgentPort];
  const [suspect, ...controls] = await Promise.all([
    signs.look({ addresses: ask.addresses, ports }, limits),
    ...target.controls.map(({ addresses, sshPort, agentPort }) =>
      signs.look(
        { addresses, ports: [sshPort ?? DEFAULT_SSH_PORT, agentPort ?? DEFAULT_AGENT_PORT] },
        limits,
      ),
    ),
  ]);
  return signal.aborted ? undefined : judgeSigns(suspect, controls.flat());
}
