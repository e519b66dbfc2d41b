import { newSealKey, type Clock, type Random, type SealKey } from '@fenceline/common';
import {
  CREDENTIAL_LIFE_MS,
  credentialContext,
  dashed,
  DomainError,
  type SealedCredential,
} from '@fenceline/protocol';
import { readLogin, type CredentialKeys } from '../credentialKeys.js';

/** One for each call that is under way, and some that were never used. */
const MAX_KEYS = 64;

interface Kept {
  key: SealKey;
  targetHostUuid: string;
  /** Monotonic. */
  untilMs: number;
}

export interface CredentialKeysOptions {
  clock: Clock;
  random: Random;
  hostUuid: () => Promise<string | undefined>;
}

/** Key pairs that never leave this process, each for one credential about one suspect. */
export function memoryCredentialKeys(options: CredentialKeysOptions): CredentialKeys {
  const { clock, random, hostUuid } = options;
  const keys = new Map<string, Kept>();
  const forgetOld = (): void => {
    for (const [keyId, { untilMs }] of keys) if (clock.monotonicMs() >= untilMs) keys.delete(keyId);
  };
  return {
    newKey: async (targetHostUuid) => {
      forgetOld();
      if (keys.size >= MAX_KEYS)
        throw new DomainError('TOO_MANY_REQUESTS', 'too many keys for credentials wait to be used');
      const [keyId, key] = [random.uuid(), newSealKey()];
      const untilMs = clock.monotonicMs() + CREDENTIAL_LIFE_MS;
      keys.set(keyId, { key, targetHostUuid: dashed(targetHostUuid), untilMs });
      return { keyId, publicKey: key.publicKey, expiresInMs: CREDENTIAL_LIFE_MS };
    },
    open: async (sealed, targetHostUuid) => {
      forgetOld();
      const kept = keys.get(dashed(sealed.keyId));
      // safety: F30: a key opens one credential; whoever repeats the call finds none
      keys.delete(dashed(sealed.keyId));
      if (kept === undefined)
        throw refused('its key was used, has expired, or is not of this host');
      if (kept.targetHostUuid !== dashed(targetHostUuid)) throw refused('it is about another host');
      const peerUuid = (await hostUuid()) ?? '';
      return readLogin(opened(sealed, { kept, peerUuid }));
    },
  };
}

function opened(
  sealed: SealedCredential,
  { kept, peerUuid }: { kept: Kept; peerUuid: string },
): string {
  const { keyId } = sealed;
  const { targetHostUuid } = kept;
  try {
    const context = credentialContext({ keyId, peerUuid, targetHostUuid });
    return kept.key.open(sealed, context).reveal();
  } catch {
    throw refused('it was not sealed for this host, or was changed on the way');
  }
}

function refused(why: string): DomainError {
  return new DomainError('REFUSED', `the credential can't be used: ${why}`);
}
