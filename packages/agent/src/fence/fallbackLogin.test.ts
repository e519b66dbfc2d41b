import { expect, test } from '@jest/globals';
import { recordingLogger, VirtualClock } from '@fenceline/common/testing';
import { DomainError } from '@fenceline/protocol';
import type { Login } from './credentialKeys.js';
import { withFallback } from './fallbackLogin.js';
import type { Dialed, DialFailureKind, DialTarget } from './sshDialer.js';

const sealed = { keyId: 'k', publicKey: 'p', box: 'b' };
const LOGIN: Login = { kind: 'password', password: 'canary' };
const session = { ok: true, session: {}, address: 'a', stages: [] } as unknown as Dialed;

/** What a dial came to, and with what each try logged in. */
async function dial(
  answers: (DialFailureKind | 'session')[],
  options: { credential?: boolean; open?: () => Login; tookMs?: number } = {},
) {
  const { credential = true, open = () => LOGIN, tookMs = 0 } = options;
  const clock = new VirtualClock();
  const { log, lines } = recordingLogger();
  const tries: { login: unknown; totalMs: number }[] = [];
  const dialer = withFallback(
    {
      dial: async ({ login }: DialTarget, { totalMs }) => {
        tries.push({ login, totalMs });
        await clock.advance(tookMs);
        const failure = answers.shift();
        if (failure === 'session') return session;
        return {
          ok: false,
          failure: failure ?? 'localError',
          stages: [{ name: 'connect', ms: 1 }],
        };
      },
    },
    { clock, log, credentials: { open: async () => open() } },
  );
  const target = {
    ...{ addresses: ['a'], port: 22, username: 'root', hostKeys: ['k'] },
    ...(credential ? { credential: { sealed, targetHostUuid: 'h1' } } : {}),
  };
  const limits = {
    connectMs: 1,
    totalMs: 1_000,
    maxOutputBytes: 1,
    signal: new AbortController().signal,
  };
  return { dialed: await dialer.dial(target, limits), tries, lines };
}

test('F30: the own key comes first; the credential only for a host that does not know it', async () => {
  expect((await dial(['session'])).tries).toMatchObject([{ login: undefined }]);
  const { dialed, tries } = await dial(['authFailed', 'session'], { tookMs: 300 });
  expect(dialed.ok).toBe(true);
  expect(tries).toEqual([
    { login: undefined, totalMs: 1_000 },
    { login: LOGIN, totalMs: 700 },
  ]);
});

test.each<[DialFailureKind]>([
  ['hostKeyMismatch'],
  ['kexFailed'],
  ['noBanner'],
  ['connectTimeout'],
  ['channelClosed'],
  ['localError'],
])('F30: after %s no password is shown to anybody', async (failure) => {
  const { dialed, tries } = await dial([failure]);
  expect([dialed, tries.length]).toEqual([expect.objectContaining({ failure }), 1]);
});

test('F30: without a credential, with one that is refused, or without time it stays authFailed', async () => {
  const refused = () => {
    throw new DomainError('REFUSED', "the credential can't be used: it has expired");
  };
  for (const options of [{ credential: false }, { open: refused }, { tookMs: 1_000 }]) {
    const { dialed, tries } = await dial(['authFailed', 'session'], options);
    expect([dialed, tries.length]).toEqual([expect.objectContaining({ failure: 'authFailed' }), 1]);
  }
  const { lines } = await dial(['authFailed'], { open: refused });
  expect(lines.map(({ sentence }) => sentence)).toEqual(['a fallback credential can not be used']);
});

test('F30: a wrong password is authFailed, and both tries are timed', async () => {
  const { dialed } = await dial(['authFailed', 'authFailed']);
  expect(dialed).toMatchObject({ failure: 'authFailed', stages: [{ ms: 1 }, { ms: 1 }] });
});
