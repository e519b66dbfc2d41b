import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { libvirtStatusFiles } from './libvirtStatusFiles.js';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fenceline-status-'));
  writeFileSync(record(), '<domstatus state="paused"/>');
  utimesSync(record(), 1_000, 1_000);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const record = (): string => join(dir, 'web1.xml');

/** As libvirt writes it: a new file that takes the place of the old one. */
function writeAnew(text: string): void {
  writeFileSync(join(dir, 'new'), text);
  renameSync(join(dir, 'new'), record());
}

test.each<[string, () => void]>([
  ['written anew', () => writeAnew('<domstatus state="running"/>')],
  [
    'written anew with the same length and time',
    () => {
      writeAnew('<domstatus state="paused"/>');
      utimesSync(record(), 1_000, 1_000);
    },
  ],
  ['touched', () => utimesSync(record(), 2_000, 2_000)],
  [
    'longer by now',
    () => {
      writeFileSync(record(), '<domstatus state="paused"/>\n');
      utimesSync(record(), 1_000, 1_000);
    },
  ],
])('F34: a record that was judged and is %s since is not removed', async (_how, change) => {
  const files = libvirtStatusFiles(dir);
  const judged = await files.read('web1');
  change();
  await files.remove('web1', judged?.version ?? '');
  expect(existsSync(record())).toBe(true);
});

test('F34: the very record that was judged is removed, and one that is gone is no error', async () => {
  const files = libvirtStatusFiles(dir);
  const judged = await files.read('web1');
  expect(judged).toMatchObject({ text: '<domstatus state="paused"/>' });
  await files.remove('web1', judged?.version ?? '');
  expect(existsSync(record())).toBe(false);
  await files.remove('web1', judged?.version ?? '');
  expect(await files.read('web1')).toBeUndefined();
});

test('I3: a name that leads out of the folder is refused', () => {
  const files = libvirtStatusFiles(dir);
  expect(() => files.read('../web1')).toThrow('slash');
});
