import { withLimit, type Clock, type Random } from '@fenceline/common';
import { DomainError, ok, ScanHostRsp, type ScanHostCmd } from '@fenceline/protocol';
import { judgeScan, levelOf, type ScanAttempt } from './judgeScan.js';
import type { EchoCaller, SignsOfLife } from './signsOfLife.js';

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

async function lookOnce(
  ports: ScanPorts,
  command: ScanHostCmd,
  { limitMs, signal }: { limitMs: number; signal: AbortSignal },
): Promise<ScanAttempt> {
  const [echoes, signs] = await Promise.all([
    echoesOf(ports, command, { limitMs, signal }),
    ports.signs.look(
      {
        addresses: command.targetAddresses,
        agentPort: command.targetAgentPort,
        sshPort: command.targetHostSshPort,
      },
      limitMs,
      signal,
    ),
  ]);
  return { echoes, signs };
}

async function echoesOf(
  { clock, random, echo }: ScanPorts,
  command: ScanHostCmd,
  { limitMs, signal }: { limitMs: number; signal: AbortSignal },
): Promise<(string | undefined)[]> {
  const port = command.targetAgentPort;
  const asked = command.targetAddresses.map((address) =>
    withLimit({ clock, ms: limitMs, what: `echo of ${address}`, signal }, (limit) =>
      echo.echo({ address, port, nonce: random.hex(16) }, limitMs, limit),
    ),
  );
  const answers = await Promise.allSettled(asked);
  return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
}
