// Does a test notice when a safety line breaks? For each bug: a copy of the agent and of the native
// program with that one change, the tests that watch it, and a failure that is expected. A bug that
// no test catches, and a `safety:` line that no bug breaks, are problems.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../../../..');
const TESTS = 'packages/agent/src/fence';

/**
 * `folder`: where the bugs' files are, from the root; `isSource` says which of them are watched. A bug:
 * `from` becomes `to` in `file`; `test` (of it, those whose names match `tests`) must fail then. One
 * with `exempt` says why it can't be planted.
 * @returns the exit status: 0 if every bug was caught.
 */
export function plantBugs({
  folder,
  isSource,
  bugs,
  only = () => true,
  unwatched = true,
  testNames = '',
}) {
  if (process.argv[2] === '--check') {
    const problems = withoutBug(join(ROOT, folder), isSource, bugs);
    process.stdout.write(problems.map((problem) => `problem: ${problem}\n`).join(''));
    return problems.length === 0 ? 0 : 1;
  }
  const copy = mkdtempSync(join(tmpdir(), 'planted-bugs-'));
  try {
    copyTo(copy);
    const chosen = bugs.filter((bug) => only(bug) && bug.exempt === undefined);
    const failures = unwatched ? withoutBug(join(copy, folder), isSource, bugs) : [];
    for (const test of new Set(chosen.map((bug) => bug.test)))
      if (unwatched && !passes(copy, test, testNames))
        failures.push(`${test} fails without any bug`);
    for (const bug of failures.length > 0 ? [] : chosen) {
      const caught = !withBug(join(copy, folder), bug, () => passes(copy, bug.test, bug.tests));
      process.stdout.write(`${caught ? 'caught' : 'MISSED'}  ${bug.file}: ${bug.name}\n`);
      if (!caught) failures.push(bug.name);
    }
    process.stdout.write(failures.map((failure) => `problem: ${failure}\n`).join(''));
    return failures.length === 0 ? 0 : 1;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function copyTo(copy) {
  mkdirSync(join(copy, 'packages'));
  for (const folder of ['packages/agent/src', 'packages/agent/test'])
    cpSync(join(ROOT, folder), join(copy, folder), { recursive: true });
  // The tests build the native program; what is built here is not copied.
  cpSync(join(ROOT, 'packages/native'), join(copy, 'packages/native'), {
    recursive: true,
    filter: (path) => !path.includes('/native/build'),
  });
  // A planted bug may leave something unused.
  const makefile = join(copy, 'packages/native/Makefile');
  writeFileSync(makefile, readFileSync(makefile, 'utf8').replace('-Wall -Wextra -Werror', '-w'));
  cpSync(join(ROOT, 'packages/agent/package.json'), join(copy, 'packages/agent/package.json'));
  cpSync(join(ROOT, 'jest.config.js'), join(copy, 'jest.config.js'));
  writeFileSync(join(copy, 'package.json'), '{"type":"module"}');
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
}

/** Safety lines with no bug in the lines around them, and bugs whose place is gone. */
function withoutBug(folder, isSource, bugs) {
  const lost = bugs.filter(
    ({ file, from }) => readFileSync(join(folder, file), 'utf8').split(from).length !== 2,
  );
  const files = readdirSync(folder, { recursive: true }).filter(isSource);
  return [
    ...lost.map(({ name, file }) => `${name}: its place in ${file} is gone`),
    ...files.flatMap((file) => {
      const text = readFileSync(join(folder, file), 'utf8');
      const places = bugs.filter((bug) => bug.file === file).map((bug) => lineOf(text, bug.from));
      return text.split('\n').flatMap((line, at) => {
        const near = places.some((place) => place >= at - 12 && place <= at + 14);
        const isRule = /(?:#|\/\/|\/\*|^ +) ?safety:/.test(line);
        return isRule && !near ? [`${file}:${at + 1} has no planted bug`] : [];
      });
    }),
  ];
}

function lineOf(text, part) {
  const at = text.indexOf(part);
  return at < 0 ? -100 : text.slice(0, at).split('\n').length - 1;
}

function withBug(folder, { file, from, to, name }, check) {
  const path = join(folder, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${name}: its place in ${file} is gone`);
  writeFileSync(path, text.split(from).join(to));
  try {
    return check();
  } finally {
    writeFileSync(path, text);
  }
}

function passes(copy, test, names) {
  const args = ['--config', join(copy, 'jest.config.js'), '--runTestsByPath'];
  args.push(join(copy, TESTS, test));
  if (names !== '') args.push('-t', names);
  const result = spawnSync(
    join(ROOT, 'node_modules/.bin/jest'),
    [...args, '--selectProjects', 'unit'],
    {
      cwd: copy,
      encoding: 'utf8',
      env: {
        ...process.env,
        PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
        NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
      },
    },
  );
  // A bug that doesn't compile, or a name that no test bears, shows nothing.
  const ran = /Tests: +(?:\d+ failed|(?:\d+ skipped, )?\d+ passed)/.test(result.stderr);
  const broken = /\.c:\d+:\d+: error/.test(result.stderr);
  if (names !== '' && (!ran || broken))
    process.stdout.write(`problem: ${test} -t ${names}: nothing ran, or it does not compile\n`);
  if (names !== '' && (!ran || broken)) return true;
  return result.status === 0;
}
