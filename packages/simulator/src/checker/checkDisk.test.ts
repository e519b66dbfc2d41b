import { expect, test } from '@jest/globals';
import { checkDisk, type DiskRecords } from './checkDisk.js';

const a = { host: 'h1', bootId: 'boot-1', pid: 1 };
const b = { host: 'h2', bootId: 'boot-2', pid: 2 };
const write = (writer: typeof a, atMs: number, issuedAtMs = atMs - 1) => ({
  writer,
  issuedAtMs,
  atMs,
});
const disk = (
  opens: DiskRecords['opens'],
  writes: DiskRecords['writes'] = opens.map(({ writer, fromMs }) => write(writer, fromMs + 1)),
): DiskRecords => ({ source: 'vm1', opens, writes });

test.each([
  // why  disk  verdict  live writers
  ['nothing was written', disk([], []), 'noData', 0],
  ['one life', disk([{ writer: a, fromMs: 0, toMs: undefined }]), 'oneWriter', 1],
  [
    'one life after the other',
    disk([
      { writer: a, fromMs: 0, toMs: 10 },
      { writer: b, fromMs: 10, toMs: undefined },
    ]),
    'oneWriter',
    1,
  ],
  [
    'two lives that overlap by a moment, although neither wrote in it',
    disk([
      { writer: a, fromMs: 0, toMs: 11 },
      { writer: b, fromMs: 10, toMs: undefined },
    ]),
    'twoWriters',
    2,
  ],
  [
    'a write of a gone life that lands after the next one began',
    disk(
      [
        { writer: a, fromMs: 0, toMs: 5 },
        { writer: b, fromMs: 10, toMs: undefined },
      ],
      [write(a, 1), write(b, 11), write(a, 12, 4)],
    ),
    'lateWrite',
    1,
  ],
] as const)('I1: %s', (_why, records, verdict, liveWriters) => {
  expect(checkDisk(records)).toMatchObject({ verdict, liveWriters });
});
