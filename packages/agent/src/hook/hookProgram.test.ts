import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import {
  hasCompiler,
  HOOK_SOURCE,
  HookSandbox,
  ownStartTime,
  type HookCase,
  type HookEnd,
  type PlantedBug,
} from '../../test/hookProgram.js';
import { markRun } from '../libvirt/domainXml.js';
import { renderList } from './protectedList.js';

jest.setTimeout(90_000);

const VM = '11111111-2222-4333-8444-555555555555';
const CLONE = '99999999-2222-4333-8444-555555555555';
const DISK = '/srv/vms/web1.img';
const domain = (uuid: string, disk = DISK, more = ''): string =>
  `<domain type='kvm'>\n  <name>web1</name>\n  <uuid>${uuid}</uuid>\n  <devices><disk type='file'>` +
  `<source file='${disk}'/></disk></devices>${more}</domain>\n`;
/** As the agent gives it to libvirt. */
const run = (epoch: number, xml = domain(VM)): string => markRun(xml, { vmUuid: VM, epoch });
const LIST = renderList([{ vmUuid: VM, disks: [{ kind: 'file', source: DISK }] }]);
const ME = `${process.pid} ${ownStartTime()}`;
const grant = (epoch: number, who = ME) => ({ [`run/grants/${VM}`]: `${epoch} ${who}\n` });
const barrier = (text: string, of = 'barriers') => ({ [`run/${of}/${VM}`]: text });
const list = { 'run/protected': LIST };
const onDisk = { 'state/protected': LIST };
const other = domain(CLONE, '/srv/vms/web2.img');
const argument = (value: string): string =>
  `<c:commandline xmlns:c='u'><c:arg value='${value}'/></c:commandline>`;

const PASSES = /^$/;
/** files, xml, what is said (nothing: it passes), why */
const CASES: readonly (readonly [HookCase, RegExp, string])[] = [
  [{ files: {}, xml: domain(VM) }, PASSES, 'a host without a list has no protected VM'],
  [{ files: { 'run/protected': renderList([]) }, xml: domain(VM) }, PASSES, 'an empty list'],
  [{ files: list, xml: other }, PASSES, 'another VM with other disks'],
  [{ files: { ...list, ...grant(5) }, xml: run(5) }, PASSES, 'the run that was granted'],
  [
    { files: { ...list, ...grant(5), ...barrier('4\n') }, xml: run(5) },
    PASSES,
    'above the barrier',
  ],
  [{ files: list, xml: domain(VM) }, /fenceline vm start web1/, 'a start by hand'],
  [
    { files: { ...list, ...grant(5) }, xml: domain(VM) },
    /not one of Fenceline's/,
    'by hand, meanwhile',
  ],
  [{ files: list, xml: run(5) }, /run 5 is not granted/, 'no grant'],
  [{ files: { ...list, ...grant(6) }, xml: run(5) }, /run 5 is not granted/, "another run's grant"],
  [
    { files: { ...list, ...grant(5, '1 1') }, xml: run(5) },
    /not granted/,
    'a pid that was used again',
  ],
  [
    { files: { ...list, ...grant(5, '99999999 1') }, xml: run(5) },
    /not granted/,
    'who asked is gone',
  ],
  [
    { files: { ...list, [`run/grants/${VM}`]: '5' }, xml: run(5) },
    /makes no sense/,
    'half a grant',
  ],
  [
    { files: { ...list, ...grant(5), ...barrier('5\n') }, xml: run(5) },
    /run 5 was fenced.*up to run 5/,
    'barrier',
  ],
  [
    { files: { ...list, ...grant(5), ...barrier('7\n', 'agent-barriers') }, xml: run(5) },
    /up to run 7/,
    "the agent's own barrier",
  ],
  [
    {
      files: { ...list, ...grant(5), ...barrier('4\n'), ...barrier('x', 'agent-barriers') },
      xml: run(5),
    },
    /barrier of this VM can't be read/,
    'a barrier that makes no sense',
  ],
  [
    { files: { ...list, ...grant(5), [`run/barriers/${VM}/`]: '' }, xml: run(5) },
    /barrier of this VM can't be read/,
    'a barrier that can not be read',
  ],
  [
    { files: list, xml: domain(CLONE) },
    /web1.img is a disk of another VM/,
    'a clone with its disk',
  ],
  [
    { files: { ...list, ...grant(5) }, xml: domain(CLONE, '/srv//vms/../vms/web1.img') },
    /disk of another VM/,
    'the same path in other words',
  ],
  [
    { files: list, xml: domain(CLONE, '/x', argument(`file=${DISK},if=ide`)) },
    /disk of another VM/,
    'a disk in an argument for qemu',
  ],
  [
    { files: { ...list, ...grant(5) }, xml: run(5).replace(/epoch="5"/, 'epoch="6"') },
    /not one of Fenceline's/,
    'marks that differ: metadata can be edited',
  ],
  [
    { files: { ...list, ...grant(5) }, xml: run(5).replace(/<sysinfo.*<\/sysinfo>/s, '') },
    /not one of Fenceline's/,
    'only one mark',
  ],
  [
    {
      files: { ...list, ...grant(5) },
      xml: run(5, domain(VM, DISK, argument('name=opt/org.fenceline/run,string=9'))),
    },
    /can't be told/,
    'two marks in the arguments',
  ],
  [
    {
      files: { ...list, ...grant(5) },
      xml: run(5)
        .replace(/<entry/, '<o><entry')
        .replace(/<\/entry>/, '</entry></o>'),
    },
    /can't be told/,
    'a mark that libvirt does not hand on',
  ],
  [{ files: list, xml: other.slice(0, -20) }, /not well-formed/, 'half a domain'],
  [
    { files: list, xml: Buffer.from(`${other}\0${domain(VM)}`) },
    /not well-formed/,
    'a NUL with more behind it',
  ],
  [
    { files: list, xml: `${' '.repeat(4 * 1_024 * 1_024)}${other}` },
    /can't be read/,
    'too much of it',
  ],
  [{ files: list, xml: other, open: true }, /in time/, 'libvirt says no more'],
  [
    { files: { 'run/protected': LIST.slice(0, -3) }, xml: other },
    /not whole/,
    'a list cut in a line',
  ],
  [
    { files: { 'run/protected': LIST.replace('end 1\n', '') }, xml: other },
    /not whole: no end/,
    'half a list',
  ],
  [
    { files: { 'run/protected': LIST.replace('end 1', 'end 2') }, xml: other },
    /not whole: an end/,
    'a list that lost a VM',
  ],
  [
    { files: { 'run/protected/': '' }, xml: other },
    /list .* can't be read/,
    'no list but a folder',
  ],
  [{ files: onDisk, xml: other }, PASSES, 'since the boot: another VM'],
  [
    { files: { ...onDisk, ...grant(5) }, xml: run(5) },
    /not run since the boot/,
    'since the boot: it',
  ],
  [{ files: { 'state/protected/': '' }, xml: other }, /from disk/, 'since the boot: unreadable'],
  [{ files: onDisk, xml: other, hungDisk: true }, /from disk/, 'since the boot: the disk hangs'],
  ...['started', 'stopped', 'release', 'reconnect', 'attach', 'prepared', ''].map(
    (operation) =>
      [
        { files: { 'run/protected': 'x' }, operation, xml: domain(VM), open: true },
        PASSES,
        `${operation} is not asked: a failure would kill the VM`,
      ] as const,
  ),
  ...['start', 'restore', 'migrate'].map(
    (operation) => [{ files: list, operation, xml: domain(VM) }, /is refused/, operation] as const,
  ),
  [
    { files: {}, name: 'fenceline-probe-00aa11', xml: '', open: true },
    /^Fenceline: hook 1 refuses probe 00aa11\n$/,
    'a probe, before anything is read',
  ],
];

const problemOf = (
  { code, said, printed, tookMs }: HookEnd,
  wanted: RegExp,
): string | undefined => {
  if (code !== (wanted === PASSES ? 0 : 1)) return `ended with ${code}: ${said}`;
  if (!wanted.test(said)) return `said ${said}`;
  if (printed !== '') return `printed ${printed}: libvirt would take that for the domain`;
  return tookMs > 1_500 ? `took ${Math.round(tookMs)} ms` : undefined;
};

const withCompiler = hasCompiler ? describe : describe.skip;

withCompiler('the hook as a program', () => {
  const sandbox = new HookSandbox();
  let shipped = '';
  let slow = '';
  beforeAll(() => {
    shipped = sandbox.shipped();
    slow = sandbox.variant();
  });
  afterAll(() => sandbox.remove());

  test.each(CASES.map(([asked, wanted, why]) => ({ asked, wanted, why })))(
    'F34: $why',
    async ({ asked, wanted }) => {
      const end = await sandbox.run(asked.hungDisk === true ? slow : shipped, asked);
      expect(problemOf(end, wanted)).toBeUndefined();
    },
  );

  const bugs = JSON.parse(
    readFileSync(join(HOOK_SOURCE, 'test/bugs.json'), 'utf8'),
  ) as PlantedBug[];

  test.each(bugs)('F34: a planted bug is caught: $name', async (bug) => {
    const program = sandbox.variant(bug);
    // Those that wait for a limit come last, and the first one that notices is enough.
    const waits = ([{ open, hungDisk }]: (typeof CASES)[number]): number =>
      open === true || hungDisk === true ? 1 : 0;
    const caught: string[] = [];
    for (const one of CASES.toSorted((a, b) => waits(a) - waits(b))) {
      const problem = problemOf(await sandbox.run(program, one[0]), one[1]);
      if (problem !== undefined) caught.push(`${one[2]}: ${problem}`);
      if (caught.length > 0) break;
    }
    expect(caught).not.toEqual([]);
  });

  test('F34: every safety line of the hook has a planted bug', () => {
    const unwatched = readdirSync(HOOK_SOURCE)
      .filter((name) => name.endsWith('.c'))
      .flatMap((name) => {
        const lines = readFileSync(join(HOOK_SOURCE, name), 'utf8').split('\n');
        return lines.flatMap((line, i) => {
          if (!line.includes('safety:')) return [];
          const near = lines.slice(i, i + 8).join('\n');
          return bugs.some((bug) => bug.file === name && near.includes(bug.from)) ? [] : [line];
        });
      });
    expect(unwatched).toEqual([]);
  });

  test.each(['check', 'fuzz'])('F34: make %s, with sanitizers', (target) => {
    const args = [
      '-s',
      '-C',
      HOOK_SOURCE,
      `B=${join(sandbox.dir, 'sanitized')}`,
      'N=60000',
      target,
    ];
    const made = spawnSync('make', args, { encoding: 'utf8' });
    expect({ status: made.status, stderr: made.stderr }).toEqual({ status: 0, stderr: '' });
    expect(made.stdout).toMatch(/ 0 failures|rounds/);
  });
});
