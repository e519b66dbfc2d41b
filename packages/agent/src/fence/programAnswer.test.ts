import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { FenceOrder } from './order.js';
import { AnswerReader, MAX_FOUND_PER_VM, type ProgramAnswer } from './programAnswer.js';

const VM = '11111111-2222-3333-4444-555555555555';
const OTHER = '11111111-2222-3333-4444-555555555556';
const HOST = 'aaaaaaaa-2222-3333-4444-555555555555';
const NONCE = '00112233445566778899aabbccddeeff';
const END = `end ${NONCE} host=${HOST} boot=b-1 pidns=4026531836 uid=0 control=ok`;

const order: FenceOrder = {
  mode: 'fence',
  nonce: NONCE,
  hostUuid: HOST,
  deadlineMs: 1_000,
  killGraceMs: 0,
  vms: [{ vmUuid: VM, fenceEpoch: 7, disks: [] }],
};

function read(...lines: string[]): ProgramAnswer {
  const reader = new AnswerReader(order);
  for (const line of lines) reader.push(line);
  return reader.answer;
}

const HELLO = 'fenceline-fence 1';

describe('reading the answer', () => {
  test('F22: a whole answer', () => {
    const answer = read(
      HELLO,
      `pid ${VM} 42 1234 epoch=7 role=qemu`,
      `pid ${VM} 43 1235 epoch=none`,
      `disk ${VM} /srv/a%20b drained=synced`,
      `writer ${VM} 44 qemu-nbd /srv/a%20b`,
      `verdict ${VM} dead  barrier=disk`,
      `${END} barrier_ms=3 drain_ms=9 other=x`,
    );
    expect(answer.vms.get(VM)).toEqual({
      found: [
        { pid: 42, startTime: 1234, epoch: 7 },
        { pid: 43, startTime: 1235, epoch: null },
      ],
      disks: [{ source: '/srv/a b', drained: 'synced' }],
      writers: [{ pid: 44, comm: 'qemu-nbd', source: '/srv/a b' }],
      verdict: 'dead',
      barrier: 'disk',
    });
    expect(answer.end).toEqual({
      nonce: NONCE,
      host: HOST,
      boot: 'b-1',
      pidNamespace: '4026531836',
      uid: 0,
      control: 'ok',
      stages: { barrier: 3, drain: 9 },
    });
  });

  test('F21a: it says that a disk was written to through io_uring', () => {
    const usesUring = (line: string) => read(HELLO, line).vms.get(VM)?.usesUring;
    expect(usesUring(`disk ${VM} /srv/a drained=no x=1 why=io_uring`)).toBe(true);
    expect(usesUring(`disk ${VM} /srv/a drained=no why=io_uring_2`)).toBeUndefined();
    expect(usesUring(`disk ${VM} /srv/why=io_uring drained=no`)).toBeUndefined();
  });

  test('F22: only the last line is the end', () => {
    expect(read(HELLO, END, 'anything').end).toBeUndefined();
    expect(read(HELLO, END, `verdict ${VM} dead barrier=disk`).end).toBeUndefined();
    expect(read(HELLO, 'noise', END).end).toBeDefined();
  });

  test.each(['fenceline-fence 2', 'Last login: today', '', ` ${HELLO}`])(
    'F22: behind the greeting %j nothing is understood',
    (greeting) => {
      const answer = read(greeting, `verdict ${VM} dead barrier=disk`, END);
      expect(answer.greeted).toBe(false);
      expect(answer.end).toBeUndefined();
      expect(answer.vms.get(VM)?.verdict).toBeUndefined();
    },
  );

  test('F17: nothing about a VM that was not asked for', () => {
    const answer = read(HELLO, `verdict ${OTHER} dead barrier=disk`, `pid ${OTHER} 1 1 epoch=1`);
    expect([...answer.vms.keys()]).toEqual([VM]);
    expect(answer.vms.get(VM)).toEqual({ found: [], disks: [], writers: [] });
  });

  test.each([
    ['dead', 'dead', 'conflict'],
    ['dead', 'alive', 'conflict'],
    ['alive', 'dead', 'conflict'],
    ['no-such', 'dead', 'conflict'],
    ['dead', undefined, 'dead'],
  ])('F17: two verdicts (%s, %s) for one VM are %s', (first, second, expected) => {
    const lines = [first, second].flatMap((word) =>
      word === undefined ? [] : [`verdict ${VM} ${word} barrier=memory`],
    );
    expect(read(HELLO, ...lines).vms.get(VM)?.verdict).toBe(expected);
  });

  test.each([
    [`verdict ${VM} dead`, 'a verdict without a barrier'],
    [`verdict ${VM} dead barrier=none`, 'an unknown barrier'],
    [`pid ${VM} -1 5 epoch=7`, 'a negative pid'],
    [`pid ${VM} 1 5 epoch=99999999999999999999`, 'a number without end'],
    [`pid ${VM} 1 5`, 'a pid without epoch'],
    [`writer ${VM} x`, 'a writer that can not be read'],
  ])(
    'F22: a line about the VM that can not be read makes its verdict worthless: %s, %s',
    (line) => {
      const dead = `verdict ${VM} dead barrier=disk`;
      for (const lines of [
        [line, dead],
        [dead, line],
      ]) {
        const about = read(HELLO, ...lines).vms.get(VM);
        expect(about).toMatchObject({ found: [], disks: [], writers: [], verdict: 'conflict' });
      }
    },
  );

  test('F17: a line about no VM of the order is ignored', () => {
    const line = `verdict ${VM.toUpperCase()}X dead barrier=disk`;
    expect(read(HELLO, line).vms.get(VM)).toEqual({ found: [], disks: [], writers: [] });
  });

  test('F21a: an unknown word for drained is "no"', () => {
    expect(read(HELLO, `disk ${VM} /x drained=maybe`).vms.get(VM)?.disks).toEqual([
      { source: '/x', drained: 'no' },
    ]);
  });

  test.each([
    ['refused bad-token', 'bad-token'],
    ['refused wrong-host this is another host', 'wrong-host'],
    ['refused <script>', 'unknown'],
  ])('a refusal %j is the word %s, never its text', (line, word) => {
    expect(read(HELLO, line).refused).toBe(word);
  });

  test('F25: endless repetition is bounded', () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `pid ${VM} ${i} 1 epoch=1`);
    expect(read(HELLO, ...lines).vms.get(VM)?.found).toHaveLength(MAX_FOUND_PER_VM);
  });

  test('hostile lines never throw and never make an end without the whole line', () => {
    const word = fc.constantFrom(
      'end',
      'pid',
      'verdict',
      VM,
      NONCE,
      'dead',
      'uid=0',
      '=',
      ' ',
      '\r',
    );
    const line = fc.oneof(
      fc.string(),
      fc.array(word).map((words) => words.join(' ')),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
        const answer = read(HELLO, ...lines);
        expect(answer.end === undefined || lines.at(-1)?.startsWith('end ')).toBe(true);
      }),
    );
  });
});
