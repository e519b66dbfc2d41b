import { expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeTestCa } from '../testing/testCertificates.js';
import { readTlsFiles, type TlsFiles } from './tls.js';

test('TLS files that are missing or no PEM are named', () => {
  const dir = mkdtempSync(join(tmpdir(), 'fenceline-tls-'));
  try {
    const path = (name: string) => join(dir, name);
    writeFileSync(path('ca'), '-----BEGIN CERTIFICATE-----\n');
    writeFileSync(path('key'), 'not a key');
    const paths = { ca: path('ca'), cert: path('ca'), key: path('key') };
    expect(() => readTlsFiles(paths)).toThrow(`${path('key')} is not a PEM file`);
    const missing = { ...paths, key: path('none') };
    expect(() => readTlsFiles(missing)).toThrow(`can't read the TLS file ${path('none')} (ENOENT)`);
    expect(() => readTlsFiles({ ...paths, key: dir })).toThrow('EISDIR');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.each<[string, (own: TlsFiles, other: TlsFiles) => TlsFiles]>([
  ['a key of another certificate', (own, other) => ({ ...own, key: other.key })],
  ['a damaged key', (own) => ({ ...own, key: own.key.replace(/\n[^-]/, '\n!') })],
])('TLS files that can not be used together are named: %s', (_what, choose) => {
  const dir = mkdtempSync(join(tmpdir(), 'fenceline-tls-'));
  try {
    const ca = makeTestCa();
    const files = choose(ca.issue({ name: 'a' }), ca.issue({ name: 'b' }));
    const paths = { ca: join(dir, 'ca'), cert: join(dir, 'cert'), key: join(dir, 'key') };
    for (const part of ['ca', 'cert', 'key'] as const) writeFileSync(paths[part], files[part]);
    expect(() => readTlsFiles(paths)).toThrow(`can't use the TLS files ${paths.cert} and`);
    expect(() => readTlsFiles(paths)).toThrow('must belong together');
  } finally {
    rmSync(dir, { recursive: true });
  }
});
