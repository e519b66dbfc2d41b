import type { VmView } from '@fenceline/protocol';
import { describe, expect, test } from '@jest/globals';
import { parametersOf } from '../src/commands/powerParameters.js';
import { readinessLines, statusLines } from '../src/render/status.js';
import { taskLines } from '../src/render/tasks.js';
import { ansiPaint, cell, clean, plainPaint, table, type Tone } from '../src/render/text.js';
import { duration, relative } from '../src/render/time.js';
import { camel, kebab, protectedCell } from '../src/render/words.js';
import { AT, but, status, story, taskUuid, vm } from './views.js';

test('status: alarms first, then what is open, then hosts and VMs with why', () => {
  expect(statusLines(status, plainPaint)).toEqual([
    '2026-01-01 00:00:10 UTC  HA is active',
    '',
    'Alarms',
    '  critical  h2 is suspect: silent for 5 s',
    '',
    'Open HA tasks',
    'TASK                                  VM    STATE    BEGAN     NEXT TRY  WAITS FOR',
    `${taskUuid}  web1  waiting  10 s ago  in 2 min  no proof that the run on h2 is over`,
    '',
    'Cluster default',
    'HOST  STATUS        STATE    LIVENESS  SEEN       RUNS  CAN BE FENCED BY   HOOK   WHY',
    'h1    Connected     Enabled  online    now        1     h2 (standing), h3  works',
    'h2    Disconnected  Enabled  suspect   5.0 s ago  1     h2 (standing), h3  works  silent for 5 s',
    '',
    'VM    STATE    HOST  LEVEL            PROTECTED',
    'web1  Running  h1    never-stop       yes (peer while SSH answers, power)',
    'db1   Unknown  h2    on-host-failure  no: nothing could prove h2 dead',
  ]);
});

test('status of a new site says what to do first', () => {
  const cluster = { uuid: taskUuid, name: 'default', createdAt: AT };
  const empty = but(status, {
    openTasks: [],
    alarms: [],
    clusters: [{ cluster, hosts: [], vms: [] }],
  });
  expect(statusLines(empty, plainPaint)).toEqual([
    '2026-01-01 00:00:10 UTC  HA is active',
    '',
    'no alarms',
    '',
    'Cluster default',
    'no hosts yet: fenceline host add ADDRESS --name NAME',
  ]);
});

const look = { nowMs: Date.parse(AT), paint: plainPaint };

test('D15: task show tells what it waits for, since when, and the ways out', () => {
  expect(taskLines(story, look)).toEqual([
    'Bringing web1 back: h2 is silent',
    `task         ${taskUuid}`,
    'state        waiting',
    'asked by     host-failure',
    'attempt      1',
    'began        2026-01-01 00:00:00 (10 s ago)',
    'ended        open',
    'destination  -',
    '',
    'Waits for: no proof that the run on h2 is over (since 6.0 s ago)',
    'Next try in 2 min.',
    'Ways out:',
    '  fenceline host confirm-dead h2',
    `  fenceline task retry ${taskUuid}`,
    '',
    'Steps',
    'ATTEMPT  AT            STEP             RESULT  TOOK   DETAIL',
    '1        00:00:01.000  ha-pre-fence-vm  failed  3.0 s  peers=2 outcome=unreachable',
    '',
    'Proofs',
    'AT            PROOF     RUN            SAID BY              VALID  DIGEST        FACTS',
    '00:00:03.000  powerOff  epoch 2 on h2  power:fence_ipmilan  yes    abcdef012345  readBack=off',
    '',
    'Attempts',
    '  none',
  ]);
});

describe('a task of many attempts', () => {
  const [step] = story.steps;
  const tried = Array.from({ length: 39 }, (_, i) => i + 1);
  const many = but(story, {
    state: 'fencing',
    attempt: 39,
    ...{ waitsFor: null, waitsSince: null, nextTryAt: null },
    steps: tried.flatMap((attempt) => (step === undefined ? [] : [but(step, { attempt })])),
    attempts: tried.map((attempt) => ({
      ...{ uuid: taskUuid, taskUuid, vmUuid: story.vmUuid, vmName: 'web1', attempt },
      ...{ reason: 'h2 is silent', beganAt: AT, proofDigests: [] },
      ...{ destinationHostUuid: null, destinationHostName: null },
      endedAt: attempt === 39 ? null : AT,
      success: attempt === 39 ? null : false,
      failure: attempt === 39 ? null : `refusal ${attempt}`,
    })),
  });

  test('D15: while one is under way, the last refusal and the ways out are told', () => {
    const lines = taskLines(many, look);
    const at = lines.indexOf('Attempt 39 is under way.');
    expect(lines.slice(at, at + 5)).toEqual([
      'Attempt 39 is under way.',
      'Last refusal: refusal 38 (0.0 s ago)',
      'Ways out:',
      '  fenceline host confirm-dead h2',
      `  fenceline task retry ${taskUuid}`,
    ]);
    const ended = taskLines(but(many, { state: 'done', endedAt: AT }), look).join('\n');
    expect(ended).not.toMatch(/under way\.|Ways out/);
  });

  test('the last few are shown, and how many came before; all with --all', () => {
    const rows = (lines: string[]): number =>
      lines.filter((line) => /ha-pre-fence-vm|refusal \d+$|h2 is silent$/.test(line)).length;
    const few = taskLines(many, look);
    expect(few.at(-1)).toBe('  and 36 attempts before these: --all');
    expect(few.join('\n')).toMatch(/\b37 .*refused .*refusal 37\n.*\b38 .*refused .*refusal 38\n/);
    expect([few.length < 40, rows(few)]).toEqual([true, 3 + 3 + 1]);
    const all = taskLines(many, { ...look, all: true });
    expect([all.join('\n').includes('--all'), rows(all)]).toEqual([false, 39 + 39 + 1]);
    expect(taskLines(but(many, { attempt: 4 }), look).at(-1)).toBe(
      '  and 1 attempt before these: --all',
    );
  });
});

test.each<[Partial<VmView>, Tone]>([
  [{ stoppedByPerson: true, state: 'Stopped' }, 'dim'],
  [{ stoppedByPerson: true, state: 'Running' }, 'bad'],
  [{ level: 'none', state: 'Running' }, 'dim'],
  [{ state: 'Running' }, 'bad'],
])('D9: a VM that a person stopped is calm only while it rests: %j', (changes, tone) => {
  const of = { protected: false, protection: 'why' };
  expect(protectedCell(but(vm, { ...of, ...changes }))).toEqual(cell('no: why', tone));
});

test('colours are put on after the width was found', () => {
  const rows = [[cell('a', 'good'), cell('b')]];
  expect(table(['LONG', 'X'], rows, ansiPaint)).toEqual([
    '\u001B[2mLONG\u001B[0m  \u001B[2mX\u001B[0m',
    '\u001B[32ma\u001B[0m     b',
  ]);
});

test.each([
  ['web\u001B[2Jx', 'web [2Jx', 'an escape sequence'],
  ['a\nb', 'a b', 'a line break'],
  ['a\u202Eb', 'a b', 'a change of direction'],
  ['grün ü', 'grün ü', 'letters stay'],
])('%j can not steer a terminal: %s', (given, expected) => {
  expect(clean(given)).toBe(expected);
});

describe('times for people', () => {
  test.each([
    [0, '0.0 s'],
    [340, '0.3 s'],
    [9_900, '9.9 s'],
    [12_000, '12 s'],
    [250_000, '4 min 10 s'],
    [240_000, '4 min'],
    [11_100_000, '3 h 5 min'],
    [187_200_000, '2 d 4 h'],
  ])('%i ms is %s', (ms, expected) => {
    expect(duration(ms)).toBe(expected);
  });

  test.each([
    [null, '-'],
    ['no time', '-'],
    ['2026-01-01T00:00:00Z', '10 s ago'],
    ['2026-01-01T00:01:10Z', 'in 1 min'],
  ])('%s is %s', (iso, expected) => {
    expect(relative(iso, Date.parse(AT))).toBe(expected);
  });
});

test.each([
  ['neverStop', 'never-stop'],
  ['onHostFailure', 'on-host-failure'],
  ['none', 'none'],
])('%s is typed %s', (name, typed) => {
  expect(kebab(name)).toBe(typed);
  expect(camel(typed)).toBe(name);
});

test('power parameters are lines; a broken one is told by its number, not its text', () => {
  expect(parametersOf('# bmc\nip=192.0.2.1\n\n password = a=b \r\n')).toEqual({
    ip: '192.0.2.1',
    password: 'a=b',
  });
  expect(() => parametersOf('ip=1\nhunter2')).toThrow('line 2: must be name=value');
  expect(() => parametersOf('ip=1\nhunter2')).not.toThrow('hunter2');
});

test('D19, F27: readiness says who could fence whom, and which VM has no proof', () => {
  const ready = { canFence: true, whyNot: null, powerDevice: 'verified' as const };
  const readiness = {
    hosts: [
      {
        ...ready,
        uuid: '1',
        name: 'h1',
        peerCount: 18,
        canBeFencedBy: [
          {
            uuid: '2',
            name: 'h2',
            line: 'standing' as const,
            ways: ['ssh' as const, 'door' as const],
            roundTripMs: 1.5,
          },
          { uuid: '3', name: 'h3', line: 'broken' as const, ways: [], roundTripMs: 9 },
          { uuid: '4', name: 'h4', line: null, ways: [], roundTripMs: null },
        ],
        hookWorking: true,
      },
      {
        ...{ uuid: '2', name: 'h2', canFence: false, whyNot: 'it is Disconnected' },
        ...{ peerCount: 0, canBeFencedBy: [], powerDevice: 'none' as const },
        hookWorking: false,
      },
    ],
    vms: [
      {
        ...{ uuid: '3', name: 'web1', hostName: 'h2', protected: false, proofs: [] },
        text: 'nothing could prove h2 dead',
      },
    ],
  };
  expect(readinessLines(readiness, plainPaint)).toEqual([
    'HOST  CAN FENCE               CAN BE FENCED BY                                          POWER DEVICE  LIBVIRT HOOK',
    'h1    yes                     h2 (standing, door, 1.5 ms), h3 (broken), h4 and 15 more  verified      works',
    'h2    no: it is Disconnected  nobody                                                    none          fails',
    '',
    'VM    HOST  PROOFS THAT WOULD WORK  PROTECTED',
    'web1  h2    none                    no: nothing could prove h2 dead',
  ]);
});
