import type { ChannelName } from '../../settings/settings.js';
import type { FenceProof } from '../proof.js';
import type { ChannelResult, ProofChannel, ProofRequest } from './channel.js';

export interface RaceResult {
  proof?: FenceProof;
  /** What each channel said, in order of blast radius. */
  said: ChannelResult[];
}

/**
 * Runs the channels side by side; the first valid proof wins and the others are told to stop.
 * @param order the channels of the policy, smallest blast radius first.
 */
export async function raceChannels(
  channels: readonly ProofChannel[],
  order: readonly ChannelName[],
  { request, signal }: { request: ProofRequest; signal: AbortSignal },
): Promise<RaceResult> {
  const inOrder = order.flatMap((name) => channels.filter((channel) => channel.name === name));
  const said: ChannelResult[] = [];
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const proofs = inOrder.map(async (channel): Promise<FenceProof> => {
    const barred = channel.barredBy(request);
    const result =
      barred === undefined
        ? await channel.prove(request, both)
        : { channel: channel.name, why: barred };
    said.push(result);
    if (result.stale === true) stop.abort(new Error('a newer run exists'));
    if (result.proof === undefined) throw new Error(result.why);
    return result.proof;
  });
  const proof = await Promise.any(proofs).catch(() => undefined);
  stop.abort(new Error('another channel has the proof'));
  const byOrder = said.toSorted((a, b) => order.indexOf(a.channel) - order.indexOf(b.channel));
  return proof === undefined ? { said: byOrder } : { proof, said: byOrder };
}
