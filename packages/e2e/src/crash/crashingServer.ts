import { appendFileSync, closeSync, existsSync, fsyncSync, openSync } from 'node:fs';
import { composeServer, realWorld, runServer, type StepMark } from '@fenceline/management';
import { wordOf } from './steps.js';

/**
 * The server as its users run it, with two additions: it writes each step of an HA start to the
 * file `FENCELINE_STEPS`, and it kills itself with SIGKILL when the steps of `FENCELINE_CRASH_AT`
 * (a JSON list) have come, one after another. Once: the file `FENCELINE_CRASHED` remembers it.
 */
const { FENCELINE_STEPS = '', FENCELINE_CRASH_AT = '[]', FENCELINE_CRASHED = '' } = process.env;
const awaited = JSON.parse(FENCELINE_CRASH_AT) as string[];

function onStep(step: StepMark): void {
  const word = wordOf(step);
  appendFileSync(FENCELINE_STEPS, `${word}\n`);
  if (word !== awaited[0]) return;
  awaited.shift();
  if (awaited.length > 0 || existsSync(FENCELINE_CRASHED)) return;
  const marker = openSync(FENCELINE_CRASHED, 'wx');
  fsyncSync(marker);
  closeSync(marker);
  process.kill(process.pid, 'SIGKILL');
}

process.exitCode = await runServer(
  process.argv.slice(2),
  realWorld((options) => composeServer(options, { onStep })),
);
