import { expect, test } from '@jest/globals';
import { countOfList, renderList } from './protectedList.js';

const A = 'aaaaaaaa-2222-4333-8444-555555555555';
const B = 'bbbbbbbb-2222-4333-8444-555555555555';

test('F34: the list names each VM once, in order, and its end counts them', () => {
  const list = renderList([
    { vmUuid: B.toUpperCase(), disks: [{ kind: 'rbd', source: 'pool/x' }] },
    { vmUuid: A.replaceAll('-', ''), disks: [{ kind: 'file', source: '/srv/ü\u0041 b.img' }] },
    {
      vmUuid: B,
      disks: [
        { kind: 'rbd', source: 'pool/x' },
        { kind: 'network', source: 'nbd:e' },
      ],
    },
  ]);
  expect(list.split('\n')).toEqual([
    'fenceline-protected 1',
    `vm ${A}`,
    'disk file:/srv/%c3%bcA%20b.img',
    `vm ${B}`,
    'disk rbd:pool/x',
    'disk network:nbd:e',
    'end 2',
    '',
  ]);
  expect(countOfList(list)).toBe(2);
  expect(renderList([])).toBe('fenceline-protected 1\nend 0\n');
});

test('F34, F21a: a disk that is written by io_uring is known to the hook by its name, as any other', () => {
  const disks = (['uring-file', 'uring-block'] as const).map((kind) => ({ kind, source: '/a' }));
  const list = renderList([{ vmUuid: A, disks }]);
  expect(list.split('\n').slice(2, 4)).toEqual(['disk file:/a', 'disk block:/a']);
  expect(countOfList(list)).toBe(1);
});

test.each([
  ['', 'nothing'],
  ['fenceline-protected 1\n', 'no end'],
  ['fenceline-protected 2\nend 0\n', 'another version'],
  [`fenceline-protected 1\nvm ${A}\nend 0\n`, 'an end that counts others'],
  [`fenceline-protected 1\nvm ${A}\nend 1`, 'an end without its end'],
  [`fenceline-protected 1\nvm ${A}\nnote\nend 1\n`, 'an unknown line'],
  [`fenceline-protected 1\nvm ${A}\ndisk file:/%zz\nend 1\n`, 'a source that is none'],
])('F34: %j is not whole: %s', (text) => {
  expect(countOfList(text)).toBeUndefined();
});

test('F34: a source that could be another line is refused', () => {
  const vms = [{ vmUuid: A, disks: [{ kind: 'file' as const, source: '/a\nend 0' }] }];
  expect(() => renderList(vms)).toThrow('control characters');
});
