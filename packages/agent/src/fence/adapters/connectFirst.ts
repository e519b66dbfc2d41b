import { connect, type Socket } from 'node:net';
import type { Clock } from '@fenceline/common';
import type { DialFailureKind, DialTarget } from '../sshDialer.js';

/** The next address is tried as well when the one before has not answered for this long. */
const STAGGER_MS = 250;

export type Connected =
  { ok: true; socket: Socket; address: string } | { ok: false; failure: DialFailureKind };

/** What an errno of connect says. */
export function failureOfErrno(code: string | undefined): DialFailureKind {
  switch (code) {
    case 'EHOSTUNREACH':
    case 'EHOSTDOWN':
      return 'hostUnreachable';
    case 'ENETUNREACH':
    case 'ENETDOWN':
    case 'EADDRNOTAVAIL':
      return 'netUnreachable';
    case 'ECONNREFUSED':
      return 'refused';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'dropped';
    case 'ETIMEDOUT':
      return 'connectTimeout';
    default:
      return 'localError';
  }
}

/** If several addresses failed, the failure that says most about the other side is told. */
const WEIGHT: readonly DialFailureKind[] = [
  'refused',
  'dropped',
  'connectTimeout',
  'hostUnreachable',
  'netUnreachable',
  'localError',
];

/**
 * A TCP connection to the first address that accepts one, without Nagle's delay (40 ms per login).
 * Addresses are tried in order, overlapping. Settles within `limitMs`; losers are destroyed.
 */
export function connectFirst(
  target: Pick<DialTarget, 'addresses' | 'port'>,
  limits: { clock: Clock; limitMs: number; signal: AbortSignal },
): Promise<Connected> {
  const { clock, signal } = limits;
  return new Promise((resolve) => {
    const open = new Map<string, Socket>();
    const failures: DialFailureKind[] = [];
    const waiting = [...target.addresses];
    let over = false;
    const finish = (result: Connected): void => {
      if (over) return;
      over = true;
      timer.cancel();
      stagger.cancel();
      signal.removeEventListener('abort', onAbort);
      for (const socket of open.values())
        if (!result.ok || socket !== result.socket) socket.destroy();
      resolve(result);
    };
    const worst = (): DialFailureKind =>
      WEIGHT.find((one) => failures.includes(one)) ?? 'localError';
    const failed = (address: string, failure: DialFailureKind): void => {
      open.delete(address);
      failures.push(failure);
      if (waiting.length > 0) next();
      else if (open.size === 0) finish({ ok: false, failure: worst() });
    };
    const next = (): void => {
      const address = waiting.shift();
      if (address === undefined || over) return;
      const socket = connect({ host: address, port: target.port, noDelay: true });
      open.set(address, socket);
      const onError = (error: NodeJS.ErrnoException): void =>
        failed(address, failureOfErrno(error.code));
      socket.once('error', onError);
      socket.once('connect', () => {
        socket.off('error', onError);
        // Errors from here on are the login's to tell.
        socket.on('error', () => undefined);
        finish({ ok: true, socket, address });
      });
      stagger.cancel();
      stagger = clock.after(STAGGER_MS, next);
    };
    const onAbort = (): void => finish({ ok: false, failure: 'aborted' });
    const timer = clock.after(Math.max(0, limits.limitMs), () => {
      failures.push('connectTimeout');
      finish({ ok: false, failure: worst() });
    });
    let stagger = clock.after(STAGGER_MS, () => undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else if (waiting.length === 0) finish({ ok: false, failure: 'localError' });
    else next();
  });
}
