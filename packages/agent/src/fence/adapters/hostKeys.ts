import type { ServerHostKeyAlgorithm } from 'ssh2';

const KEY_TYPES = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
] as const;

/** True if a host that showed this key (wire form) is one of the pinned ones. */
export function isPinned(shown: Uint8Array, hostKeys: readonly string[]): boolean {
  return hostKeys.some((line) => {
    const [, base64 = ''] = line.trim().split(/\s+/);
    return base64 !== '' && Buffer.from(base64, 'base64').equals(shown);
  });
}

/** Only key types that are pinned are asked for, or the host may show another, honest one. */
export function pinnedTypes(hostKeys: readonly string[]): ServerHostKeyAlgorithm[] {
  const types = hostKeys.flatMap((line): ServerHostKeyAlgorithm[] => {
    const [type = ''] = line.trim().split(/\s+/);
    if (type === 'ssh-rsa') return ['rsa-sha2-512', 'rsa-sha2-256'];
    return KEY_TYPES.filter((known) => known === type);
  });
  return types.length > 0 ? [...new Set(types)] : [...KEY_TYPES];
}
