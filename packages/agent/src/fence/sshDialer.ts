import type { SealedCredential } from '@fenceline/protocol';
import type { Login } from './credentialKeys.js';
import type { ProgramSession } from './programSession.js';

/** Why no session came to be. Each kind is something that was seen, not a guess. */
export type DialFailureKind =
  /** The kernel here says: no such host on the link, or no way to it (EHOSTUNREACH, EHOSTDOWN). */
  | 'hostUnreachable'
  /** The kernel here has no route at all (ENETUNREACH): speaks about this host, not the other. */
  | 'netUnreachable'
  /** RST: a kernel lives there, or something in front of it. */
  | 'refused'
  /** No answer to the connect in time. */
  | 'connectTimeout'
  /** Connected, but no SSH banner in time. */
  | 'noBanner'
  /** Connected, and closed before a banner: what sshd does above MaxStartups. Worth a retry. */
  | 'dropped'
  /** Banner came; the key exchange failed or did not end in time. */
  | 'kexFailed'
  /** The host showed a key that is not pinned. */
  | 'hostKeyMismatch'
  /** Key not accepted, or no decision in time. */
  | 'authFailed'
  /** Logged in, but no channel with the program on it. */
  | 'channelClosed'
  /** A fault of this side: no key, no pinned host key, an error that fits nowhere. */
  | 'localError'
  /** The caller's signal fired. */
  | 'aborted';

export interface DialStage {
  name: 'connect' | 'kex' | 'auth' | 'exec';
  ms: number;
}

export interface DialTarget {
  /** In the order of preference; the first that accepts the connection is used. */
  addresses: readonly string[];
  port: number;
  username: string;
  /** Pinned host keys, `type base64`; none means that no login is tried. */
  hostKeys: readonly string[];
  /** To fall back on if the host does not know our key (F30). */
  credential?: { sealed: SealedCredential; targetHostUuid: string };
  /** Instead of our key; the program then comes with the order, on standard input. */
  login?: Login;
}

export interface DialLimits {
  /** For the TCP connection, milliseconds. */
  connectMs: number;
  /** For everything up to a session, milliseconds. */
  totalMs: number;
  /** Bound on what is read from the session. */
  maxOutputBytes: number;
  signal: AbortSignal;
}

export type Dialed =
  | { ok: true; session: ProgramSession; address: string; stages: readonly DialStage[] }
  | { ok: false; failure: DialFailureKind; stages: readonly DialStage[] };

/** Logs in to a host whose sshd runs the fence program as the forced command of our key. */
export interface SshDialer {
  /**
   * Settles within `totalMs` (plus scheduling), whatever the other side or the SSH library does,
   * and leaves nothing open when it failed. Never throws. A session lives until it is closed, also
   * when the signal fires later.
   */
  dial(target: DialTarget, limits: DialLimits): Promise<Dialed>;
}
