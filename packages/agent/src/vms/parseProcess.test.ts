import { expect, test } from '@jest/globals';
import { isGone, isQemu, parseCmdline, parseQemuArguments, parseStat } from './parseProcess.js';

const VM = '11111111-2222-4333-8444-555555555555';
const stat = (comm: string, state: string, threads: number): string =>
  `82 (${comm}) ${state} 1 82 82 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 ${threads} 0 987654 1 2 3`;

test('a command name with brackets and spaces does not shift the fields', () => {
  expect(parseStat(stat('a) S (b', 'S', 4))).toEqual({
    comm: 'a) S (b',
    state: 'S',
    flags: 4_194_560,
    threads: 4,
    startTime: 987_654,
  });
  expect(parseStat('nonsense')).toBeUndefined();
});

test.each([
  // state threads gone   why
  ['S', 3, false, 'it lives'],
  ['D', 3, false, 'a pending SIGKILL is not death'],
  ['Z', 2, false, 'the leader ended, a worker may still write'],
  ['Z', 1, true, 'nothing of it can run'],
  ['X', 1, true, 'dead'],
] as const)('F21: state %s with %i tasks: gone is %s (%s)', (state, threads, gone, _why) => {
  const parsed = parseStat(stat('qemu-system-x86', state, threads));
  expect(parsed && isGone(parsed)).toBe(gone);
});

test.each([
  // argv[0]                      exe                                   qemu   why
  ['/usr/bin/qemu-system-x86_64', '/usr/bin/qemu-system-x86_64', true, 'the usual'],
  ['/usr/libexec/qemu-kvm', undefined, true, 'Red Hat'],
  ['x', '/usr/bin/qemu-system-x86_64 (deleted)', true, 'upgraded under it'],
  ['tail', '/usr/bin/tail', false, 'reads a log named after the VM'],
  ['qemu-img', '/usr/bin/qemu-img', false, 'no emulator'],
  ['/usr/bin/qemu-system-x86_64-notes.txt', '/usr/bin/vi', false, 'an editor'],
] as const)('F20: %s (%s) is a qemu: %s, %s', (argv0, exe, expected, _why) => {
  expect(isQemu(argv0, exe)).toBe(expected);
});

test('F35: uuid, name and run mark come from whole arguments', () => {
  const args = parseCmdline(
    [
      'qemu-system-x86_64',
      '-name',
      'guest=a,,b,debug-threads=on',
      '-uuid',
      VM.toUpperCase(),
      '-fw_cfg',
      'name=opt/com.example,string=99',
      '-fw_cfg',
      'name=opt/org.fenceline/run,string=42',
      '',
    ].join('\0'),
  );
  expect(parseQemuArguments(args)).toEqual({ vmUuid: VM, guestName: 'a,b', epoch: 42 });
});

test.each([
  [['-drive', `file=/var/${VM}.img`], 'a disk is named after another VM'],
  [['-uuid', `${VM}0`], 'a longer id'],
  [['-fw_cfg', 'name=opt/org.fenceline/runner,string=1'], 'a longer mark'],
  [['-fw_cfg', 'name=opt/org.fenceline/run,string=-1'], 'no number'],
  [['-fw_cfg', `name=opt/org.fenceline/run,string=${2 ** 47 + 1}`], 'no epoch that others take'],
] as const)('F20: %j says nothing: %s', (args, _why) => {
  expect(parseQemuArguments([...args])).toEqual({
    vmUuid: undefined,
    guestName: undefined,
    epoch: null,
  });
});
