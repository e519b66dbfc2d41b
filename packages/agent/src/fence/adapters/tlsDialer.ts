import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { errorCode, type Clock, type TlsFiles } from '@fenceline/common';
import type { DoorDialer } from '../doorDialer.js';
import type { Dialed, DialFailureKind, DialStage } from '../sshDialer.js';
import { connectFirst } from './connectFirst.js';
import { LineSession } from './lineSession.js';

/**
 * Through a host's door with this agent's own certificate. The other side is known by its certificate
 * (our authority, its address, the role of an agent); which host it is says its first pong.
 */
export function tlsDialer(clock: Clock, tls: TlsFiles): DoorDialer {
  return {
    dial: async (target, limits) => {
      const stages: DialStage[] = [];
      const begunMs = clock.monotonicMs();
      const fail = (failure: DialFailureKind): Dialed => ({ ok: false, failure, stages });
      if (limits.signal.aborted) return fail('aborted');
      const connected = await connectFirst(target, {
        clock,
        limitMs: Math.min(limits.connectMs, limits.totalMs),
        signal: limits.signal,
      });
      const connectMs = clock.monotonicMs() - begunMs;
      stages.push({ name: 'connect', ms: connectMs });
      if (!connected.ok) return fail(connected.failure);
      const { socket, address } = connected;
      const limitMs = Math.max(0, limits.totalMs - connectMs);
      const shaken = await shakeHands(socket, { clock, tls, address, ...limits, limitMs });
      if (typeof shaken === 'string') {
        socket.destroy();
        return fail(shaken);
      }
      stages.push({ name: 'kex', ms: clock.monotonicMs() - begunMs - connectMs });
      const session = sessionOver(shaken, limits.maxOutputBytes);
      return { ok: true, session, address, stages };
    },
  };
}

interface Handshake {
  clock: Clock;
  tls: TlsFiles;
  address: string;
  limitMs: number;
  signal: AbortSignal;
}

function shakeHands(
  socket: Socket,
  { clock, tls, address, limitMs, signal }: Handshake,
): Promise<TLSSocket | DialFailureKind> {
  return new Promise((resolve) => {
    const guarded = connect({ ...tls, socket, host: address, minVersion: 'TLSv1.3' });
    const silence = (): DialFailureKind => (socket.bytesRead > 0 ? 'kexFailed' : 'noBanner');
    const closed = (): DialFailureKind => (socket.bytesRead > 0 ? 'kexFailed' : 'dropped');
    const finish = (result: TLSSocket | DialFailureKind): void => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      if (typeof result === 'string') guarded.destroy();
      resolve(result);
    };
    const timer = clock.after(limitMs, () => finish(silence()));
    const onAbort = (): void => finish('aborted');
    signal.addEventListener('abort', onAbort, { once: true });
    // Errors after the handshake end the session by its 'close'.
    guarded.on('error', (error) => finish(isOther(error) ? 'hostKeyMismatch' : closed()));
    guarded.once('close', () => finish(closed()));
    guarded.once('secureConnect', () =>
      // safety: F27: other programs of the cluster have certificates of its authority, too
      finish(guarded.getPeerCertificate().subject?.OU === 'sibling' ? guarded : 'hostKeyMismatch'),
    );
  });
}

/** What Node and OpenSSL say of a certificate that is not of our authority, or not for that address. */
const WRONG_CERTIFICATE = /^(ERR_TLS_CERT_ALTNAME|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CERT_)/;

function isOther(error: Error): boolean {
  return WRONG_CERTIFICATE.test(errorCode(error) ?? '');
}

function sessionOver(socket: TLSSocket, maxOutputBytes: number): LineSession {
  const session = new LineSession({
    maxOutputBytes,
    write: (line) => void socket.write(line),
    endInput: () => void socket.end(),
    destroy: () => socket.destroy(),
  });
  socket.on('data', (chunk: Buffer) => session.stdout(chunk));
  socket.on('close', () => session.end({ kind: 'closed' }));
  socket.on('end', () => session.end({ kind: 'closed' }));
  return session;
}
