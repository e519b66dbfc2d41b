import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { Secret } from '../secret.js';

/** A text that one key can open; both parts base64. */
export interface SealedBox {
  /** Of the sealer, for this box only. */
  publicKey: string;
  /** Nonce, ciphertext and tag. */
  box: string;
}

/** Opens what was sealed for `publicKey`; the private half is in memory only. */
export interface SealKey {
  /** X25519, 32 bytes, base64. */
  readonly publicKey: string;
  /** @throws Error, without a reason, if it was sealed for another key or context, or changed. */
  open(sealed: SealedBox, context: string): Secret;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A new key pair. */
export function newSealKey(): SealKey {
  const { privateKey } = generateKeyPairSync('x25519');
  const publicKey = rawOf(createPublicKey(privateKey));
  return {
    publicKey,
    open: (sealed, context) => {
      try {
        const secret = diffieHellman({ privateKey, publicKey: keyOf(sealed.publicKey) });
        const key = keyFor(secret, { from: sealed.publicKey, to: publicKey, context });
        return openWithKey(key, sealed.box, context);
      } catch {
        throw new Error('it was not sealed for this, or was changed');
      }
    },
  };
}

/**
 * Seals a text for one key. `context` says what it is for; whoever opens it must name the same.
 * X25519 with a key of its own for each box, HKDF-SHA256, AES-256-GCM.
 * @throws Error if that is no key.
 */
export function sealFor(publicKey: string, text: Secret, context: string): SealedBox {
  const own = generateKeyPairSync('x25519');
  const from = rawOf(own.publicKey);
  const secret = diffieHellman({ privateKey: own.privateKey, publicKey: keyOf(publicKey) });
  const key = keyFor(secret, { from, to: publicKey, context });
  return { publicKey: from, box: sealWithKey(key, text, context) };
}

/** With a symmetric key of 32 bytes. Base64 of nonce, ciphertext and tag. */
export function sealWithKey(key: Uint8Array, text: Secret, context: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context));
  const parts = [nonce, cipher.update(text.reveal(), 'utf8'), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(parts).toString('base64');
}

/** @throws Error if it was sealed with another key or context, or changed. */
export function openWithKey(key: Uint8Array, box: string, context: string): Secret {
  const bytes = Buffer.from(box, 'base64');
  if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new Error('too short');
  const end = bytes.length - TAG_BYTES;
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const options = { authTagLength: TAG_BYTES };
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, options)
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(end));
  const text = [decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()];
  return new Secret(Buffer.concat(text).toString('utf8'));
}

function keyFor(
  secret: Uint8Array,
  { from, to, context }: { from: string; to: string; context: string },
): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.from(`${from} ${to}`), context, 32));
}

function rawOf(key: KeyObject): string {
  const { x = '' } = key.export({ format: 'jwk' });
  return Buffer.from(x, 'base64url').toString('base64');
}

function keyOf(publicKey: string): KeyObject {
  const x = Buffer.from(publicKey, 'base64').toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
}
