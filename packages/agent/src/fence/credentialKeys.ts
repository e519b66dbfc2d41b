import { DomainError, type LoginText, type SealedCredential } from '@fenceline/protocol';

/** A login that is no fence key: the host has no restricted entry for this one (F30). */
export type Login = LoginText;

/** Keys that credentials are sealed for: in memory, one for each call, soon forgotten (F30). */
export interface CredentialKeys {
  /** @throws DomainError TOO_MANY_REQUESTS */
  newKey(
    targetHostUuid: string,
  ): Promise<{ keyId: string; publicKey: string; expiresInMs: number }>;
  /**
   * Opens it, once: the key is forgotten, whatever comes of it.
   * @throws DomainError REFUSED that says why not: unknown, used or expired key, another suspect.
   */
  open(sealed: SealedCredential, targetHostUuid: string): Promise<Login>;
}

/** @throws DomainError REFUSED without a word of the text. */
export function readLogin(text: string): Login {
  const { kind, password, privateKey, passphrase } = fieldsOf(text);
  if (kind === 'password' && typeof password === 'string') return { kind, password };
  if (kind !== 'privateKey' || typeof privateKey !== 'string') throw notReadable();
  return { kind, privateKey, ...(typeof passphrase === 'string' ? { passphrase } : {}) };
}

function fieldsOf(text: string): Partial<Record<string, unknown>> {
  try {
    return { ...(JSON.parse(text) as object) };
  } catch {
    // The parser's own words would show the text.
    return {};
  }
}

function notReadable(): DomainError {
  return new DomainError('REFUSED', 'the credential is none that this agent understands');
}
