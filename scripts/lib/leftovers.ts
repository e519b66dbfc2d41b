// What a test run left behind: `node scripts/lib/leftovers.ts RUN_ID FOLDER`. A run marks what it
// starts by FENCELINE_TEST_RUN=RUN_ID in the environment and by paths below FOLDER. Prints one line
// for each leftover; exit 1 if there is one.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const [runId = '', folder = ''] = process.argv.slice(2);

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // gone, or not ours to read
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** A zombie has ended; its parent just has not asked yet. */
function hasEnded(pid: string): boolean {
  const state = /\) (.)/.exec(textOf(`/proc/${pid}/stat`))?.[1];
  return state === undefined || state === 'Z';
}

function isOurs(pid: string): boolean {
  const environment = textOf(`/proc/${pid}/environ`).split('\0');
  if (environment.includes(`FENCELINE_TEST_RUN=${runId}`)) return true;
  const places = [linkOf(`/proc/${pid}/cwd`), linkOf(`/proc/${pid}/root`)];
  return (
    textOf(`/proc/${pid}/cmdline`).includes(folder) || places.some((at) => at.startsWith(folder))
  );
}

const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));

/** This program, and what started it. */
function ancestors(): Set<string> {
  const all = new Set<string>();
  let pid = String(process.pid);
  while (pid !== '' && pid !== '0' && !all.has(pid)) {
    all.add(pid);
    pid = /\) . (\d+)/.exec(textOf(`/proc/${pid}/stat`))?.[1] ?? '';
  }
  return all;
}

const waiting = ancestors();
const left = new Set<string>();
for (const pid of pids) {
  if (!waiting.has(pid) && !hasEnded(pid) && isOurs(pid)) {
    const command = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    left.add(`process ${pid}: ${command.slice(0, 200)}`);
  }
  for (const line of textOf(`/proc/${pid}/mountinfo`).split('\n'))
    if (line.includes(folder)) left.add(`mount: ${line.split(' ')[4] ?? line}`);
}
for (const line of left) process.stdout.write(`left behind: ${line}\n`);
process.exitCode = left.size > 0 ? 1 : 0;
