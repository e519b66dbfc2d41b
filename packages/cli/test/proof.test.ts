import { canonicalJson } from '@fenceline/common';
import { validBundle } from '@fenceline/common/testing';
import type { ProofBundleView } from '@fenceline/protocol';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { run, startFakeServer, type Machine } from './harness.js';
import { taskUuid } from './views.js';

const bundle = validBundle();
const text = canonicalJson(bundle);

let server: Awaited<ReturnType<typeof startFakeServer>>;
let answered: unknown = bundle;
beforeAll(async () => {
  server = await startFakeServer({ exportTaskProof: async () => answered as ProofBundleView });
});
afterAll(() => server.stop());

const online = (): Machine => ({ url: server.url, written: new Map() });
/** A machine with nothing but the file: no server, no CA, no token. */
const offline = (files: Record<string, string>): Machine => ({
  url: 'https://nowhere.invalid:1',
  files,
  environment: { FENCELINE_TOKEN: '', FENCELINE_CA: '/absent.pem' },
});

test('--out writes what --verify reads, on a machine that knows no server', async () => {
  const machine = online();
  const written = await run(['task', 'proof', taskUuid, '--out', 'web1.json'], machine);
  expect(written).toMatchObject({ code: 0, out: [], err: ['written to web1.json'] });
  const files = { 'web1.json': machine.written?.get('web1.json') ?? '' };
  const verified = await run(['task', 'proof', '--verify', 'web1.json'], offline(files));
  expect(verified).toMatchObject({ code: 0, err: [] });
  expect(verified.out[0]).toContain('valid: 6 runs of web1, each proven over before run 7');
  expect(verified.out.join('\n')).toContain('not shown: that this is the chain of your server');
  expect(verified.out.at(-1)).toContain(bundle.head.digest);
});

test('--verify with a task checks here what the server says', async () => {
  expect((await run(['task', 'proof', taskUuid, '--verify'], online())).code).toBe(0);
  answered = { ...bundle, runs: bundle.runs.slice(1) };
  const lied = await run(['task', 'proof', taskUuid, '--verify'], online());
  answered = bundle;
  expect(lied).toMatchObject({ code: 3, out: [] });
  expect(lied.err.join('\n')).toContain('the part "runs" is not the one that was exported');
});

describe('exit codes of --verify', () => {
  test.each<[string, string, number, string]>([
    ['a changed field', text.replace('web1', 'web2'), 3, 'digests.task'],
    ['no JSON', text.slice(1), 3, 'no proof bundle'],
    ['something else', '{}', 3, 'no fenceline-proof-bundle'],
  ])('%s', async (_name, content, code, said) => {
    const ended = await run(['task', 'proof', '--verify', 'f'], offline({ f: content }));
    expect(ended).toMatchObject({ code, out: [] });
    expect(ended.err.join('\n')).toContain(said);
    const json = await run(['--json', 'task', 'proof', '--verify', 'f'], offline({ f: content }));
    expect(JSON.parse(json.out.join('\n'))).toMatchObject({ valid: false });
    expect(json.code).toBe(code);
  });

  test('an anchor that the chain does not pass through: 3', async () => {
    const ask = (digest: string) =>
      run(['task', 'proof', '--verify', 'f', '--anchor', digest], offline({ f: text }));
    const anchored = await ask((bundle.start?.digest ?? '').toUpperCase());
    expect([anchored.code, anchored.out.join('\n')]).toEqual([
      0,
      expect.not.stringContaining('not shown'),
    ]);
    expect((await ask(bundle.links[3]?.digest ?? '')).code).toBe(3);
    expect((await ask('0'.repeat(64))).code).toBe(3);
  });

  test.each([
    [['task', 'proof', '--verify', 'absent'], "can't read absent"],
    [['task', 'proof'], 'which task?'],
    [['task', 'proof', taskUuid, '--anchor', '00'], '--verify, which is missing'],
    ...['49b7e3ad45e6', '3f1c…', '', 'g'.repeat(64), '0'.repeat(65)].map(
      (anchor): [string[], string] => [
        ['task', 'proof', '--verify', 'f', '--anchor', anchor],
        '--anchor must be a whole digest, 64 hex digits: tables show only its first 12',
      ],
    ),
    [
      ['task', 'proof', taskUuid, '--verify', '--anchor', '49b7e3ad45e6'],
      '--anchor must be a whole digest',
    ],
    [['task', 'proof', taskUuid, '--verify', 'f'], 'leave out the task'],
    [['task', 'proof', taskUuid, '--out', '/readonly/f'], "can't write /readonly/f (EROFS)"],
  ])('wrong usage is 2: %j', async (argv, said) => {
    const ended = await run(argv, { ...online(), files: { f: text } });
    expect(ended.code).toBe(2);
    expect(ended.err.join('\n')).toContain(said);
  });
});
