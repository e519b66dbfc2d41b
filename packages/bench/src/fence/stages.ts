import type { FenceVmFromPeerRsp } from '@fenceline/protocol';
import type { Measured } from '../result.js';

/** Terms that buy safety: what a fence would take without one, by the program's own watch. */
const TERMS = ['barrier', 'verify', 'drain'] as const;

/** Adds each stage of an answer as a series, and what the call took without each term. */
export function addStages(
  measured: Measured,
  side: string,
  answer: { ms: number; rsp: FenceVmFromPeerRsp },
): void {
  const inAll = new Map<string, number>();
  for (const { name, ms } of answer.rsp.stages) inAll.set(name, (inAll.get(name) ?? 0) + ms);
  for (const [name, ms] of inAll) measured.add(`${side}: ${name}`, ms);
  const sum = [...inAll.values()].reduce((all, ms) => all + ms, 0);
  measured.add(`${side}: the rest (HTTPS, checks, log)`, Math.max(0, answer.ms - sum));
  for (const term of TERMS)
    measured.add(`${side}, without ${term}`, answer.ms - (inAll.get(term) ?? 0));
}
