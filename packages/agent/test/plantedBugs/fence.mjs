#!/usr/bin/env node
// The planted bugs of the agent's side of the fence and of the program in bash (run.mjs tells how).
//
//   scripts/node packages/agent/test/plantedBugs/fence.mjs [--check | PART OF A NAME]
//
// --check plants nothing, and says whether a safety line lacks a bug. With a part of a name it isn't
// looked first whether everything passes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { plantBugs } from './run.mjs';

const part = process.argv[2] ?? '';
process.exitCode = plantBugs({
  folder: 'packages/agent/src/fence',
  isSource: (file) =>
    file === 'program/fenceline-fence' || (file.endsWith('.ts') && !file.endsWith('.test.ts')),
  bugs: JSON.parse(readFileSync(join(import.meta.dirname, 'fenceBugs.json'), 'utf8')),
  only: ({ name }) => name.includes(part),
  unwatched: part === '',
});
