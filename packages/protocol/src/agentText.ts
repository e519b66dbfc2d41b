import {
  ArrayMaxSize,
  IsArray,
  IsInt,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { applyDecorators, type PropertyRule } from './decorators.js';

/**
 * Rules of what one agent tells and others are sent later. The same rule stands at both ends: a bad
 * answer fails the host that gave it, and never those that would have to take it.
 */

const FENCE_KEY = /^ssh-ed25519 [A-Za-z0-9+/]{43,200}={0,2}$/;
/** `type base64`, with a comment or not; one line. */
const HOST_KEY = /^[a-z0-9@.-]{1,64} [A-Za-z0-9+/]+={0,2}(?: [^\p{Cc}]*)?$/u;
/** As a file's name can be written into an order: not empty, no control character. */
const SOURCE = /^[^\p{Cc}]+$/u;

export const MAX_HOST_KEYS = 16;
export const MAX_HOST_KEY_CHARS = 2_048;
/** Far below the highest epoch, so that a strange mark leaves room for the runs after it. */
export const MAX_MARK = 2 ** 47;

export function isFenceKey(value: unknown): value is string {
  return typeof value === 'string' && FENCE_KEY.test(value);
}

/** The public half of a host's fence key. */
export const FenceKey = (): PropertyRule =>
  applyDecorators(Matches(FENCE_KEY, { message: '$property must be an ssh-ed25519 public key' }));

/** Keys of a host's sshd, to be pinned. */
export const HostKeys = (): PropertyRule =>
  applyDecorators(
    IsArray(),
    ArrayMaxSize(MAX_HOST_KEYS),
    MaxLength(MAX_HOST_KEY_CHARS, { each: true }),
    Matches(HOST_KEY, { each: true, message: '$property must be SSH host keys, "type base64"' }),
  );

/** A writable disk as qemu opens it: a path, a pool/image, a url. */
export const DiskSource = (): PropertyRule =>
  applyDecorators(
    IsString(),
    MaxLength(1_024),
    Matches(SOURCE, { message: '$property must be a name without control characters' }),
  );

/** The epoch that a qemu bears as its mark. */
export const Mark = (): PropertyRule => applyDecorators(IsInt(), Min(0), Max(MAX_MARK));
