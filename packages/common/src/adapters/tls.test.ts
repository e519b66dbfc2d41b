import { expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTlsFiles } from './tls.js';

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
