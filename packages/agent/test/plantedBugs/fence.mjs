#!/usr/bin/env node
// Does a test notice when a safety line of the fence breaks? For each bug below: a copy of the
// agent with that one change, the tests that watch it, and a failure that is expected. A bug that
// no test catches, and a `safety:` line that no bug breaks, end this with 1.
//
//   scripts/node packages/agent/test/plantedBugs/fence.mjs [PART OF A NAME (then without checking
//   first that everything passes)]
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
const FENCE = 'packages/agent/src/fence';
const PROGRAM = 'program/fenceline-fence';
/** `from` becomes `to` in `file`; `test` (those whose name matches `tests`) must fail then. */
const BUGS = JSON.parse(readFileSync(join(import.meta.dirname, 'fenceBugs.json'), 'utf8'));

const copy = mkdtempSync(join(tmpdir(), 'planted-bugs-'));
try {
  process.exitCode = main(process.argv[2] ?? '');
} finally {
  rmSync(copy, { recursive: true, force: true });
}

function main(part) {
  mkdirSync(join(copy, 'packages'));
  for (const folder of ['packages/agent/src', 'packages/agent/test'])
    cpSync(join(ROOT, folder), join(copy, folder), { recursive: true });
  // The tests build the native program; what is built here is not copied.
  cpSync(join(ROOT, 'packages/native'), join(copy, 'packages/native'), {
    recursive: true,
    filter: (path) => !path.includes('/native/build'),
  });
  cpSync(join(ROOT, 'packages/agent/package.json'), join(copy, 'packages/agent/package.json'));
  cpSync(join(ROOT, 'jest.config.js'), join(copy, 'jest.config.js'));
  writeFileSync(join(copy, 'package.json'), '{"type":"module"}');
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const bugs = BUGS.filter(({ name }) => name.includes(part));
  const failures = part === '' ? unwatched() : [];
  for (const test of new Set(bugs.map((bug) => bug.test)))
    if (part === '' && !passes(test, '')) failures.push(`${test} fails without any bug`);
  for (const bug of failures.length > 0 ? [] : bugs) {
    const caught = !withBug(bug, () => passes(bug.test, bug.tests));
    process.stdout.write(`${caught ? 'caught' : 'MISSED'}  ${bug.file}: ${bug.name}\n`);
    if (!caught) failures.push(bug.name);
  }
  process.stdout.write(failures.map((failure) => `problem: ${failure}\n`).join(''));
  return failures.length === 0 ? 0 : 1;
}

/** Safety lines with no bug in the lines around them. */
function unwatched() {
  const files = readdirSync(join(copy, FENCE), { recursive: true }).filter(
    (file) => file === PROGRAM || (file.endsWith('.ts') && !file.endsWith('.test.ts')),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(copy, FENCE, file), 'utf8');
    const places = BUGS.filter((bug) => bug.file === file).map((bug) => lineOf(text, bug.from));
    return text.split('\n').flatMap((line, at) => {
      const near = places.some((place) => place >= at - 12 && place <= at + 14);
      return /(?:#|\/\/) safety:/.test(line) && !near
        ? [`${file}:${at + 1} has no planted bug`]
        : [];
    });
  });
}

function lineOf(text, part) {
  const at = text.indexOf(part);
  return at < 0 ? -1 : text.slice(0, at).split('\n').length - 1;
}

function withBug({ file, from, to, name }, check) {
  const path = join(copy, FENCE, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${name}: its place in ${file} is gone`);
  writeFileSync(path, text.split(from).join(to));
  try {
    return check();
  } finally {
    writeFileSync(path, text);
  }
}

function passes(test, names) {
  const args = [
    '--config',
    join(copy, 'jest.config.js'),
    '--runTestsByPath',
    join(copy, FENCE, test),
  ];
  if (names !== '') args.push('-t', names);
  const result = spawnSync(
    join(ROOT, 'node_modules/.bin/jest'),
    [...args, '--selectProjects', 'unit'],
    {
      cwd: copy,
      stdio: 'ignore',
      env: {
        ...process.env,
        PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
        NODE_OPTIONS: '--experimental-vm-modules --disable-warning=ExperimentalWarning',
      },
    },
  );
  return result.status === 0;
}
