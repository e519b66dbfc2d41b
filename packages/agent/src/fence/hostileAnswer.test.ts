import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { FenceVm } from '@fenceline/protocol';
import { threeAnswers } from './outcome.js';
import type { FenceOrder } from './order.js';
import { AnswerReader } from './programAnswer.js';
import type { SessionEnd } from './programSession.js';
import { judgeVm } from './verdict.js';

// What a hostile or broken program may say, against a reference that reads the text as a whole and
// shares no code with the reader: dead only if every condition of the protocol holds.

const VM = '11111111-2222-4333-8444-555555555555';
const OTHER = '11111111-2222-4333-8444-555555555556';
const HOST = 'aaaaaaaa-2222-4333-8444-555555555555';
const NONCE = '00112233445566778899aabbccddeeff';
const vm: FenceVm = { vmUuid: VM, fenceEpoch: 7, disks: [{ kind: 'file', source: '/d/1' }] };
const order: FenceOrder = {
  ...{ mode: 'fence', nonce: NONCE, hostUuid: HOST, deadlineMs: 1_000, killGraceMs: 0 },
  vms: [vm, { vmUuid: OTHER, fenceEpoch: 7, disks: vm.disks }],
};
const end = (over: Record<string, string> = {}): string => {
  const { nonce = NONCE, ...rest } = over;
  const fields = { host: HOST, boot: 'b', pidns: '1', uid: '0', control: 'ok', ...rest };
  return `end ${nonce} ${Object.entries(fields)
    .map((pair) => pair.join('='))
    .join(' ')}`;
};
const HONEST = [
  'fenceline-fence 1',
  `pid ${VM} 42 99 epoch=7 role=qemu`,
  `disk ${VM} /d/1 drained=synced`,
  `verdict ${VM} dead barrier=disk`,
  end(),
];
const LIES = [
  ...HONEST,
  `pid ${VM} 43 99 epoch=8`,
  `pid ${VM} 43 99 epoch=none`,
  `disk ${VM} /d/1 drained=no`,
  `disk ${VM} /d/2 drained=synced`,
  `disk ${OTHER} /d/1 drained=synced`,
  `writer ${VM} 7 dd /d/1`,
  ...['alive', 'other-writer', 'not-drained', 'unattributed', 'dead!', ''].map(
    (word) => `verdict ${VM} ${word} barrier=memory`,
  ),
  `verdict ${OTHER} dead barrier=disk`,
  `verdict ${VM} dead barrier=none`,
  end({ nonce: NONCE.replace('0', '1') }),
  end({ host: OTHER }),
  end({ uid: '1000' }),
  end({ uid: '0x0' }),
  end({ control: 'look-failed' }),
  'refused bad-order',
  'fenceline-fence 2',
  '',
  'bye',
  `END ${NONCE} host=${HOST}`,
];
/** An honest answer with lines taken out, put in, doubled, moved or spoiled. */
const transcript = fc
  .array(
    fc.tuple(
      fc.constantFrom('drop', 'insert', 'swap', 'spoil', 'double'),
      fc.nat(7),
      fc.constantFrom(...LIES),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    { maxLength: 4 },
  )
  .map((changes) => {
    const lines = [...HONEST];
    for (const [what, at, lie, noise] of changes) {
      const line = lines[at] ?? '';
      if (what === 'drop') lines.splice(at, 1);
      else if (what === 'insert') lines.splice(at, 0, lie);
      else if (what === 'swap') lines.splice(at, 1, lie);
      else if (what === 'double') lines.splice(at, 0, line);
      else lines.splice(at, 1, line.slice(0, 9) + noise + line.slice(9));
    }
    return lines;
  });
const ends = fc.constantFrom<SessionEnd | undefined>(
  { kind: 'exit', code: 0 },
  { kind: 'exit', code: 0 },
  { kind: 'exit', code: 1 },
  { kind: 'signal', signal: 'SIGKILL' },
  { kind: 'closed' },
  { kind: 'tooMuchOutput' },
  undefined,
);

/** Every condition, over the whole text. */
function mayBeDead(lines: readonly string[], how: SessionEnd | undefined): boolean {
  const last = lines.at(-1) ?? '';
  const about = lines.slice(1, -1);
  const words = about.map((line) => line.split(' ')).filter(([, id]) => id === VM);
  const of = (kind: string): string[][] => words.filter(([first]) => first === kind);
  const drained = of('disk').filter(([, , source]) => source === '/d/1');
  return [
    lines[0] === 'fenceline-fence 1',
    last.startsWith(`end ${NONCE} `) && !/[^ -~]/.test(last),
    ...[`host=${HOST}`, 'uid=0', 'control=ok'].map((field) => last.split(' ').includes(field)),
    how === undefined || (how.kind === 'exit' && how.code === 0),
    !about.some((line) => line.startsWith('refused ')),
    drained.length > 0,
    !of('disk').some((line) => line[3] === 'drained=no'),
    of('verdict').filter(([, , word]) => word === 'dead').length === 1,
    !of('verdict').some((line) =>
      /^(alive|other-writer|not-drained|unattributed)$/.test(line[2] ?? ''),
    ),
    of('writer').length === 0,
    !of('pid').some(([, , , , epoch = '']) => Number(epoch.slice('epoch='.length)) > 7),
  ].every(Boolean);
}

test('F22, F24: random answers: dead only if all conditions hold; never two of the three', () => {
  const counts = { dead: 0, other: 0 };
  fc.assert(
    fc.property(transcript, ends, (lines, how) => {
      const reader = new AnswerReader(order);
      for (const line of lines) reader.push(line);
      const evidence = { kind: 'session' as const, answer: reader.answer, end: how };
      const three = threeAnswers(judgeVm(vm, evidence, { nonce: NONCE, hostUuid: HOST }));
      expect(Object.values(three).filter(Boolean).length).toBeLessThanOrEqual(1);
      expect(three.targetHostUnreachable).toBe(false);
      if (three.qemuConfirmedDead)
        expect([lines, how, mayBeDead(lines, how)]).toEqual([lines, how, true]);
      counts[three.qemuConfirmedDead ? 'dead' : 'other'] += 1;
    }),
    { seed: 11, numRuns: 8_000 },
  );
  // The generator makes enough of both, or the property says nothing.
  expect(Math.min(counts.dead, counts.other)).toBeGreaterThan(1_000);
});
