import { dashed, isUuid } from '@fenceline/protocol';

/** Who answers on a fence line: one boot of one host, seen from one pid namespace. */
export interface Pong {
  nonce: string;
  host: string;
  boot: string;
  pidNamespace: string;
}

const PONG = /^pong ([0-9a-f]{16,64})((?: [a-z_]{1,32}=[A-Za-z0-9._-]{0,64})+)$/;

/** A pong, whoever's; undefined for every other line. Unknown fields are ignored. */
export function readPong(line: string): Pong | undefined {
  const [, nonce, rest = ''] = PONG.exec(line) ?? [];
  if (nonce === undefined) return undefined;
  const fields = new Map(
    rest
      .trim()
      .split(' ')
      .map((word): [string, string] => [
        word.slice(0, word.indexOf('=')),
        word.slice(word.indexOf('=') + 1),
      ]),
  );
  const [host = '', boot = '', pidNamespace = ''] = ['host', 'boot', 'pidns'].map((name) =>
    fields.get(name),
  );
  return { nonce, host, boot, pidNamespace };
}

/** Why this pong does not come from where the line was laid to; undefined: it does. */
export function whyNotOurs(
  pong: Pong,
  expected: { hostUuid: string; before: Pong | undefined },
): string | undefined {
  const { before } = expected;
  if (!isUuid(pong.host)) return 'the host there belongs to no cluster';
  // safety: F22: a machine behind a reused address, or one that was given another identity
  if (dashed(pong.host) !== dashed(expected.hostUuid)) return 'another host answers there';
  if (before === undefined)
    return pong.boot === '' ? 'the host there does not say its boot' : undefined;
  const same = pong.boot === before.boot && pong.pidNamespace === before.pidNamespace;
  return same ? undefined : 'it answers under another boot';
}
