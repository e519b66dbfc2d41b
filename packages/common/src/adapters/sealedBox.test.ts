import { expect, test } from '@jest/globals';
import { Secret } from '../secret.js';
import { newSealKey, openWithKey, sealFor, sealWithKey } from './sealedBox.js';

const TEXT = new Secret('correct horse: Ünïcödé\n');

test('F30: only the key that it was sealed for opens it, and only for what it is for', () => {
  const [mine, other] = [newSealKey(), newSealKey()];
  const sealed = sealFor(mine.publicKey, TEXT, 'for h2, about h1');
  expect(mine.open(sealed, 'for h2, about h1').reveal()).toBe(TEXT.reveal());
  expect(() => other.open(sealed, 'for h2, about h1')).toThrow();
  expect(() => mine.open(sealed, 'for h2, about h3')).toThrow();
  expect(JSON.stringify(sealed)).not.toContain('horse');
  const again = sealFor(mine.publicKey, TEXT, 'for h2, about h1');
  expect([again.box === sealed.box, again.publicKey === sealed.publicKey]).toEqual([false, false]);
});

test('F30: whatever was changed on the way is not opened', () => {
  const key = newSealKey();
  const sealed = sealFor(key.publicKey, TEXT, 'c');
  const bytes = Buffer.from(sealed.box, 'base64');
  for (let i = 0; i < bytes.length; i += 1) {
    const changed = Buffer.from(bytes);
    changed[i] = (changed[i] ?? 0) ^ 1;
    expect(() => key.open({ ...sealed, box: changed.toString('base64') }, 'c')).toThrow();
    const shorter = bytes.subarray(0, i).toString('base64');
    expect(() => key.open({ ...sealed, box: shorter }, 'c')).toThrow();
  }
  // Points of low order would make a key that everybody knows.
  for (const publicKey of [Buffer.alloc(32), Buffer.alloc(32).fill(1, 0, 1), Buffer.alloc(3)]) {
    expect(() => key.open({ ...sealed, publicKey: publicKey.toString('base64') }, 'c')).toThrow();
    expect(() => sealFor(publicKey.toString('base64'), TEXT, 'c')).toThrow();
  }
});

test('F30: at rest: the key and the owner must be the same', () => {
  const key = Buffer.alloc(32, 7);
  const box = sealWithKey(key, TEXT, 'host 1');
  expect(openWithKey(key, box, 'host 1').reveal()).toBe(TEXT.reveal());
  expect(() => openWithKey(key, box, 'host 2')).toThrow();
  expect(() => openWithKey(Buffer.alloc(32, 8), box, 'host 1')).toThrow();
});
