#!/usr/bin/env node
// The planted bugs of the native fence program (run.mjs tells how).
//
//   scripts/node packages/agent/test/plantedBugs/native.mjs [PART OF A NAME (then without checking
//   first that everything passes)]
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
