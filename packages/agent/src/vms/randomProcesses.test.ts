import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isGone, isQemu, parseCmdline, parseQemuArguments, parseStat } from './parseProcess.js';

// Random process tables against a reference that looks at whole arguments, one after the other.

const VM = '11111111-2222-4333-8444-555555555555';
const NEAR = [
  `${VM}0`,
  VM.slice(0, -1),
  VM.replaceAll('-', ''),
  VM.toUpperCase(),
  VM.replace('1', '2'),
];
const words = [
  ...['-uuid', '--uuid', '-uuidx', '-name', '-fw_cfg', '-drive', '-chardev', '', ' '],
  ...[VM, ...NEAR, 'guest=web1', 'guest=web1,debug-threads=on', 'web1', 'process=guest=web1'],
  ...['name=opt/org.fenceline/run,string=7', 'name=opt/org.fenceline/run,string=70'],
  ...['name=opt/org.fenceline/runs,string=8', 'name=opt/org.fenceline/run,string=x'],
  ...[`file=/srv/${VM}.img`, `-uuid ${VM}`, `guest=-uuid`, '(qemu)'],
];
const single = fc
  .oneof(fc.constantFrom(...words), fc.string({ maxLength: 4 }))
  .map((word) => [word]);
const pair = fc.tuple(fc.constantFrom('-uuid', '--uuid', '-fw_cfg'), fc.constantFrom(...words));
const args = fc.array(fc.oneof(single, pair), { maxLength: 7 }).map((parts) => parts.flat());

test('F20, F35: random arguments: the VM is what follows a whole -uuid, the run what its mark says', () => {
  let named = 0;
  fc.assert(
    fc.property(args, (list) => {
      const clean = list.map((word) => word.replaceAll('\0', ''));
      const read = parseQemuArguments(parseCmdline(clean.map((word) => `${word}\0`).join('')));
      let vmUuid: string | undefined;
      let epoch: number | null = null;
      for (const [i, word] of clean.entries()) {
        const next = (clean[i + 1] ?? '').toLowerCase();
        if (['-uuid', '--uuid'].includes(word)) {
          const hex = next.replaceAll('-', '');
          const whole = /^[0-9a-f]{32}$/.test(hex) && [32, 36].includes(next.length);
          if (whole)
            vmUuid = [
              hex.slice(0, 8),
              hex.slice(8, 12),
              hex.slice(12, 16),
              hex.slice(16, 20),
              hex.slice(20),
            ].join('-');
        }
        const mark = /^name=opt\/org\.fenceline\/run,string=(\d+)$/.exec(clean[i + 1] ?? '');
        if (word === '-fw_cfg' && mark) epoch = Number(mark[1]);
      }
      expect({ vmUuid: read.vmUuid, epoch: read.epoch }).toEqual({ vmUuid, epoch });
      if (vmUuid !== undefined) named += 1;
    }),
    { seed: 9, numRuns: 8_000 },
  );
  expect(named).toBeGreaterThan(500);
});

const comm = fc.oneof(
  fc.string({ maxLength: 15 }),
  fc.constantFrom('qemu-system-x86', ') Z 1 (', 'a (b) S'),
);

test('F21: random stat lines: gone is X, or Z without another task, whatever the name', () => {
  const states = fc.constantFrom('R', 'S', 'D', 'Z', 'X', 'T', 't', 'I');
  fc.assert(
    fc.property(comm, states, fc.nat(3), fc.nat(), (name, state, threads, start) => {
      const line = `82 (${name}) ${state} 1 82 82 0 -1 0 1 2 3 4 5 6 7 8 20 0 ${threads} 0 ${start} 1 2`;
      const stat = parseStat(line);
      expect(stat).toEqual({ comm: name, state, flags: 0, threads, startTime: start });
      expect(stat && isGone(stat)).toBe(state === 'X' || (state === 'Z' && threads <= 1));
    }),
    { seed: 9, numRuns: 5_000 },
  );
});

test('F20: random programs: a qemu is one by the last part of its name alone', () => {
  const dirs = fc.constantFrom('', '/usr/bin/', '/usr/libexec/', './', '/qemu-kvm/', `/srv/${VM}/`);
  const names = fc.constantFrom(
    'qemu-kvm',
    'qemu-system-x86_64',
    'qemu-img',
    'qemu-nbd',
    'tail',
    'qemu',
    'qemu-kvm2',
    'qemu-system-',
    'xqemu-kvm',
  );
  const ends = fc.constantFrom('', ' (deleted)', '.log', '-uuid', ' ');
  fc.assert(
    fc.property(dirs, names, ends, (dir, name, end) => {
      const real = name === 'qemu-kvm' || name === 'qemu-system-x86_64';
      expect(isQemu('x', `${dir}${name}${end}`)).toBe(real && ['', ' (deleted)'].includes(end));
      expect(isQemu(`${dir}${name}${end}`, undefined)).toBe(real && end === '');
    }),
    { seed: 9 },
  );
});
