import { IsInt, IsString, Matches, MaxLength, Min, MinLength } from 'class-validator';
import { Rsp } from './envelope.js';
import { dashed, required, Uuid } from './rules.js';

const PUBLIC_KEY = /^[A-Za-z0-9+/]{43}=$/;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** How long a peer keeps the key that one credential is sealed for, milliseconds. */
export const CREDENTIAL_LIFE_MS = 60_000;

/** A login to a suspect, sealed for one peer and one call (F30). */
export class SealedCredential {
  /** The peer's key that it was sealed for. */
  @Uuid() keyId = required<string>();
  /** Of the sealer, X25519, base64. */
  @Matches(PUBLIC_KEY, { message: '$property must be an X25519 public key' })
  publicKey = required<string>();
  @IsString()
  @MinLength(40)
  @MaxLength(65_536)
  @Matches(BASE64, { message: '$property must be base64' })
  box = required<string>();
}

/** `POST /ha/fence/credential-key`: a key for one credential, about one suspect. */
export class CredentialKeyCmd {
  @Uuid() targetHostUuid = required<string>();
}

export class CredentialKeyRsp extends Rsp {
  @Uuid() keyId = required<string>();
  @Matches(PUBLIC_KEY, { message: '$property must be an X25519 public key' })
  publicKey = required<string>();
  /** From now, milliseconds; it is forgotten then, or when it was used. */
  @IsInt() @Min(1) expiresInMs = required<number>();
}

/** What a sealed credential is for: whoever opens it must be in the same call, on the same host. */
export function credentialContext(about: {
  keyId: string;
  peerUuid: string;
  targetHostUuid: string;
}): string {
  const { keyId, peerUuid, targetHostUuid } = about;
  return `fenceline-credential-1 key=${dashed(keyId)} peer=${dashed(peerUuid)} suspect=${dashed(targetHostUuid)}`;
}

/** A login as text: JSON with exactly these fields. */
export type LoginText =
  | { kind: 'password'; password: string }
  | { kind: 'privateKey'; privateKey: string; passphrase?: string };
