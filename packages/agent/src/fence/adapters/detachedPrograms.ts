import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep, withLimit, type Clock } from '@fenceline/common';
import { isGone, parseCmdline, parseStat } from '../../vms/parseProcess.js';
import type { BackgroundProgram, BackgroundPrograms, FoundProgram } from '../door/background.js';

/** It says that it listens at once; more is a fault. */
const READY_MS = 5_000;
/** From TERM to KILL, and from KILL to the end. */
const END_MS = 2_000;
const POLL_MS = 10;
/** What a program says when it starts is a line or two. */
const MAX_SAID = 512;

/**
 * Programs in sessions of their own, told by `NAME.pid` (pid, start time, mark) in the run directory;
 * what they say is in `NAME.log` beside it.
 */
export function detachedPrograms(clock: Clock, runDir: string): BackgroundPrograms {
  const never = new AbortController().signal;
  const pidFile = (name: string): string => join(runDir, `${name}.pid`);
  const goneWithin = async (found: FoundProgram, ms: number): Promise<boolean> => {
    const endMs = clock.monotonicMs() + ms;
    while (!(await hasEnded(found))) {
      if (clock.monotonicMs() > endMs) return false;
      await sleep(clock, POLL_MS, never);
    }
    return true;
  };
  const end = async (found: FoundProgram): Promise<void> => {
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      // safety: by then the number may be another process's
      if (await hasEnded(found)) return;
      process.kill(found.pid, signal);
      if (await goneWithin(found, END_MS)) return;
    }
    throw new Error(`process ${found.pid} does not end`);
  };
  const find = async (program: Pick<BackgroundProgram, 'name' | 'file'>) =>
    (await known(pidFile(program.name), program.file)) ?? (await strayed(program.file));
  return {
    find,
    end,
    start: async (program) => {
      await mkdir(runDir, { recursive: true, mode: 0o700 });
      const log = join(runDir, `${program.name}.log`);
      const pid = spawnDetached(program, { log, pidFile: pidFile(program.name) });
      const ready = { clock, ms: READY_MS, what: program.name };
      try {
        await withLimit(ready, (signal) => saysListening({ pid, log, clock }, signal));
      } catch (error) {
        const found = await find(program);
        if (found !== undefined) await end(found);
        throw error;
      }
    },
  };
}

function spawnDetached(
  { file, args, mark }: BackgroundProgram,
  { log, pidFile }: { log: string; pidFile: string },
): number {
  const said = openSync(log, 'w', 0o600);
  try {
    const child = spawn(file, [...args], {
      stdio: ['ignore', said, said],
      detached: true,
      cwd: '/',
      env: {},
    });
    child.on('error', () => undefined);
    child.unref();
    if (child.pid === undefined) throw new Error(`${file} can't be started`);
    // In the same turn: the next life of the agent must know of it.
    const startTime = parseStat(readFileSync(`/proc/${child.pid}/stat`, 'utf8'))?.startTime ?? 0;
    writeFileSync(pidFile, `${child.pid} ${startTime} ${mark}\n`, { mode: 0o600 });
    return child.pid;
  } finally {
    closeSync(said);
  }
}

async function saysListening(
  { pid, log, clock }: { pid: number; log: string; clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const said = (await readFile(log, 'utf8')).slice(0, MAX_SAID);
    if (/^listening\b/m.test(said)) return;
    if ((await startTimeOf(pid)) === undefined)
      throw new Error(`it ended: ${said.trim().replaceAll('\n', '; ') || 'without a word'}`);
    await sleep(clock, POLL_MS, signal);
  }
}

/** By its own file; undefined: there is none, or what it names has ended. */
async function known(pidFile: string, file: string): Promise<FoundProgram | undefined> {
  const [pid, startTime, mark = ''] = (await textOr(pidFile, '')).trim().split(' ');
  if (!/^[1-9]\d*$/.test(pid ?? '') || !/^\d+$/.test(startTime ?? '')) return undefined;
  const id = { pid: Number(pid), startTime: Number(startTime) };
  return (await startTimeOf(id.pid)) === id.startTime ? seen({ ...id, mark }, file) : undefined;
}

/**
 * One that runs the installed file without a trace of ours: an agent was killed between its start and
 * its record. Its children run that file, too, and end with it.
 */
async function strayed(file: string): Promise<FoundProgram | undefined> {
  const pids = (await readdir('/proc')).filter((name) => /^[1-9]\d*$/.test(name)).map(Number);
  const running = new Set<number>();
  for (const pid of pids) if (await runs(pid, file)) running.add(pid);
  for (const pid of running) {
    const fields = (await textOr(`/proc/${pid}/stat`, '')).split(') ').at(-1)?.split(' ') ?? [];
    const startTime = await startTimeOf(pid);
    const found = startTime === undefined || running.has(Number(fields[1])) ? undefined : startTime;
    if (found === undefined) continue;
    const one = await seen({ pid, startTime: found, mark: '' }, file);
    // Those of logins serve a sibling on standard input, and are nobody's to end.
    if (one.args[0] === '--listen' || one.args[0] === '--port') return one;
  }
  return undefined;
}

async function seen(
  id: Pick<FoundProgram, 'pid' | 'startTime' | 'mark'>,
  file: string,
): Promise<FoundProgram> {
  const [, ...args] = parseCmdline(await textOr(`/proc/${id.pid}/cmdline`, ''));
  return { ...id, args, isInstalled: await runs(id.pid, file) };
}

/** Does that process run this very file, not one that stood there before? */
async function runs(pid: number, file: string): Promise<boolean> {
  try {
    const [its, installed] = await Promise.all([stat(`/proc/${pid}/exe`), stat(file)]);
    return its.dev === installed.dev && its.ino === installed.ino;
  } catch {
    return false;
  }
}

async function hasEnded({ pid, startTime }: FoundProgram): Promise<boolean> {
  return (await startTimeOf(pid)) !== startTime;
}

async function startTimeOf(pid: number): Promise<number | undefined> {
  const about = parseStat(await textOr(`/proc/${pid}/stat`, ''));
  return about === undefined || isGone(about) ? undefined : about.startTime;
}

async function textOr(file: string, absent: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch {
    return absent;
  }
}
