import { withLimit, type Clock, type Random } from '@fenceline/common';
import { DomainError, ok, ScanHostRsp, type ScanHostCmd } from '@fenceline/protocol';
import { signsOf } from '../fence/judgeSigns.js';
import type { SignsOfLife } from '../fence/signsOfLife.js';
import { judgeScan, levelOf, type ScanAttempt } from './judgeScan.js';
import type { EchoCaller } from './echoCaller.js';

export interface ScanPorts {
  clock: Clock;
  random: Random;
  echo: EchoCaller;
  signs: SignsOfLife;
}

const MAX_ATTEMPTS = 10;
/** Longest scan, whatever the command says. */
const MAX_SCAN_MS = 60_000;

/**
 * `POST /ha/scanhost` (D4): looks at the suspect up to `attempts` times within `timeoutMs`; an
 * agent that answers ends it early.
 */
export async function scanHost(
  ports: ScanPorts,
  command: ScanHostCmd,
  signal: AbortSignal,
): Promise<ScanHostRsp> {
  if (command.targetAddresses.length === 0)
    throw new DomainError('BAD_INPUT', 'targetAddresses: at least one address is needed');
  const attempts = Math.min(command.attempts, MAX_ATTEMPTS);
  const until = ports.clock.monotonicMs() + Math.min(command.timeoutMs, MAX_SCAN_MS);
  const seen: ScanAttempt[] = [];
  for (let left = attempts; left > 0 && !signal.aborted; left -= 1) {
    const limitMs = Math.floor((until - ports.clock.monotonicMs()) / left);
    if (limitMs <= 0) break;
    const attempt = await lookOnce(ports, command, { limitMs, signal });
    seen.push(attempt);
    if (levelOf(command.targetHostUuid, attempt) === 'agent') break;
  }
  return ok(ScanHostRsp, judgeScan(command.targetHostUuid, seen));
}

interface Limits {
  limitMs: number;
  signal: AbortSignal;
}

/**
 * Echo and signs side by side. An echo is the best that there is, so it ends the attempt: the
 * signs of a living host are worth no wait.
 */
async function lookOnce(
  ports: ScanPorts,
  command: ScanHostCmd,
  { limitMs, signal }: Limits,
): Promise<ScanAttempt> {
  const enough = new AbortController();
  const limits = { limitMs, signal: AbortSignal.any([signal, enough.signal]) };
  const echoes: (string | undefined)[] = [];
  const echoing = echoesOf(ports, command, {
    ...limits,
    onEcho: (uuid) => {
      echoes.push(uuid);
      if (levelOf(command.targetHostUuid, { echoes, signs: [] }) === 'agent')
        enough.abort(new Error('the agent answered'));
    },
  });
  const target = {
    addresses: command.targetAddresses,
    ports: [command.targetAgentPort, command.targetHostSshPort],
  };
  const looks = await ports.signs.look(target, { withinMs: limitMs, signal: limits.signal });
  await echoing;
  return { echoes, signs: looks.flatMap(signsOf) };
}

async function echoesOf(
  { clock, random, echo }: ScanPorts,
  command: ScanHostCmd,
  { limitMs, signal, onEcho }: Limits & { onEcho: (hostUuid: string | undefined) => void },
): Promise<void> {
  const port = command.targetAgentPort;
  const asked = command.targetAddresses.map(async (address) => {
    const what = `echo of ${address}`;
    const answer = await withLimit({ clock, ms: limitMs, what, signal }, (limit) =>
      echo.echo({ address, port, nonce: random.hex(16) }, { limitMs, signal: limit }),
    );
    onEcho(answer);
  });
  await Promise.allSettled(asked);
}
