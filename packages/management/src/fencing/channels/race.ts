import { CHANNELS, type ChannelName } from '../../settings/settings.js';
import type { FenceProof } from '../proof.js';
import type { ChannelResult, ProofChannel, ProofRequest } from './channel.js';

/** What is said of a channel that a policy may name and that nothing stands behind yet. */
export const NOT_AVAILABLE = 'not available in this version';

export interface RaceResult {
  proof?: FenceProof;
  /** What each channel said, in order of blast radius. */
  said: ChannelResult[];
}

export interface Race {
  request: ProofRequest;
  /** Fires when the attempt's own time is over. */
  signal: AbortSignal;
  /** Fires when the run is not to be closed any more; a proof that is there by then is one. */
  calledOff?: AbortSignal;
}

/**
 * Runs the channels of the policy side by side; the first valid proof wins and the others are told
 * to stop. A proof that comes later, or after the attempt's own time, is not used.
 * @param policy the channels that may be used; their order is always that of blast radius.
 */
export async function raceChannels(
  channels: readonly ProofChannel[],
  policy: readonly ChannelName[],
  { request, signal, calledOff }: Race,
): Promise<RaceResult> {
  const said: ChannelResult[] = [];
  const stop = new AbortController();
  const both = AbortSignal.any([
    signal,
    stop.signal,
    ...(calledOff === undefined ? [] : [calledOff]),
  ]);
  const proofs = byBlastRadius(policy).map(async (name): Promise<FenceProof> => {
    const channel = channels.find((each) => each.name === name);
    const result = await resultOf(name, channel, { request, signal: both });
    said.push(result);
    if (result.stale === true) stop.abort(new Error('a newer run exists'));
    if (result.proof === undefined) throw new Error(result.why);
    return result.proof;
  });
  const proof = await Promise.any(proofs).catch(() => undefined);
  stop.abort(new Error('another channel has the proof'));
  const inOrder = said.toSorted((a, b) => radiusOf(a.channel) - radiusOf(b.channel));
  // safety: an attempt whose time is up has been told so; what it found late is found again.
  if (proof === undefined || signal.aborted) return { said: inOrder };
  return { proof, said: inOrder };
}

async function resultOf(
  name: ChannelName,
  channel: ProofChannel | undefined,
  { request, signal }: { request: ProofRequest; signal: AbortSignal },
): Promise<ChannelResult> {
  if (channel === undefined) return { channel: name, why: NOT_AVAILABLE };
  const barred = channel.barredBy(request);
  return barred === undefined ? channel.prove(request, signal) : { channel: name, why: barred };
}

function byBlastRadius(policy: readonly ChannelName[]): ChannelName[] {
  return [...new Set(policy)].toSorted((a, b) => radiusOf(a) - radiusOf(b));
}

function radiusOf(name: ChannelName): number {
  return CHANNELS.indexOf(name);
}
