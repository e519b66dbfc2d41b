#!/usr/bin/env node
// The planted bugs of the native fence program (run.mjs tells how).
//
//   scripts/node packages/agent/test/plantedBugs/native.mjs [--check | PART OF A NAME]
//
// --check plants nothing, and says whether a safety line lacks a bug. With a part of a name it isn't
// looked first whether everything passes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { plantBugs } from './run.mjs';

/** The same tests run the program in bash, which has none of these bugs. */
const ofNative = (bug) => ({
  ...bug,
  tests: bug.tests?.startsWith('make') ? bug.tests : `\\((?:native|dynamic)\\) .*(?:${bug.tests})`,
});
const part = process.argv[2] ?? '';
process.exitCode = plantBugs({
  folder: 'packages/native',
  isSource: (file) => /^[a-z]+\.c$/.test(file),
  bugs: JSON.parse(readFileSync(join(import.meta.dirname, 'nativeBugs.json'), 'utf8')).map(
    ofNative,
  ),
  only: ({ name }) => name.includes(part),
  unwatched: part === '',
  testNames: '(?:native|dynamic)\\)',
});
