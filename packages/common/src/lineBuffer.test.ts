import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LineBuffer } from './lineBuffer.js';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('line buffer', () => {
  test('gives each line once it has ended, and keeps the rest', () => {
    const lines = new LineBuffer(100);
    expect(lines.push('one\ntw')).toEqual(['one']);
    expect(lines.rest).toBe('tw');
    expect(lines.push('o\r\n\nthree\n')).toEqual(['two', '', 'three']);
    expect(lines.rest).toBe('');
  });

  test('a character that is cut in the middle stays whole', () => {
    const lines = new LineBuffer(100);
    const text = bytes('é€😀\n');
    const got = [...text].flatMap((byte) => lines.push(Uint8Array.of(byte)));
    expect(got).toEqual(['é€😀']);
  });

  test('however a text is cut, its lines are the same', () => {
    const text = fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 6 });
    fc.assert(
      fc.property(text, fc.infiniteStream(fc.integer({ min: 1, max: 5 })), (parts, sizes) => {
        const wanted = parts.map((part) => part.replaceAll(/[\r\n\uFEFF]/g, '-'));
        const all = bytes(wanted.map((line) => `${line}\n`).join(''));
        const lines = new LineBuffer(1_000);
        const got: string[] = [];
        for (let at = 0; at < all.length;) {
          const size = sizes.next().value ?? 1;
          got.push(...lines.push(all.slice(at, at + size)));
          at += size;
        }
        expect(got).toEqual(wanted);
      }),
    );
  });

  test.each([
    ['a line without an end', ['x'.repeat(6), 'x'.repeat(5)]],
    ['a whole line', [`${'x'.repeat(11)}\n`]],
    ['a line behind a good one', [`ok\n${'x'.repeat(11)}\nok\n`]],
  ])('the bound holds for %s', (_, chunks) => {
    const lines = new LineBuffer(10);
    expect(() => chunks.forEach((chunk) => lines.push(chunk))).toThrow(RangeError);
  });

  test('a line of exactly the bound is fine', () => {
    expect(new LineBuffer(10).push(`${'x'.repeat(10)}\n`)).toEqual(['x'.repeat(10)]);
  });
});
