import { messageOf, type Clock, type Logger } from '@fenceline/common';
import type { CredentialKeys, Login } from './credentialKeys.js';
import type { SshDialer } from './sshDialer.js';

export interface FallbackPorts {
  clock: Clock;
  log: Logger;
  credentials: Pick<CredentialKeys, 'open'>;
}

/**
 * F30: a dialer that first tries this host's own key, and only if the suspect does not know it, the
 * credential that came with the call. All within the caller's `totalMs`.
 */
export function withFallback(inner: SshDialer, ports: FallbackPorts): SshDialer {
  const { clock, log, credentials } = ports;
  return {
    dial: async (target, limits) => {
      const until = clock.monotonicMs() + limits.totalMs;
      const dialed = await inner.dial(target, limits);
      const { credential } = target;
      if (dialed.ok || dialed.failure !== 'authFailed' || credential === undefined) return dialed;
      let login: Login;
      try {
        login = await credentials.open(credential.sealed, credential.targetHostUuid);
      } catch (error) {
        log.warn('a fallback credential can not be used', { error: messageOf(error) });
        return dialed;
      }
      const leftMs = until - clock.monotonicMs();
      if (leftMs <= 0 || limits.signal.aborted) return dialed;
      const again = await inner.dial({ ...target, login }, { ...limits, totalMs: leftMs });
      return { ...again, stages: [...dialed.stages, ...again.stages] };
    },
  };
}
