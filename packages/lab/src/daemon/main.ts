import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { findAcceleration } from '../acceleration.js';
import { cgroupLayout } from '../cgroups.js';
import { LabError, messageOf } from '../labError.js';
import { buildNatives } from '../natives.js';
import { nodeEnvironment } from '../plan/environment.js';
import { labPaths, type LabPaths } from '../plan/paths.js';
import { identify, isRunning, type ProcessId } from '../processes.js';
import { cleanUpLeftovers, readHolder, servedAlready } from '../stateFile.js';
import { LabDaemon } from './daemon.js';

/**
 * `main.js DIR locks|nolocks keep|with PID START`: the lab's daemon. The process PID has started it:
 * if that ends before the lab is up for the first time, the lab ends, too; with `with`, whenever it ends.
 */
async function main(): Promise<void> {
  const [dir, locks, bond, pid, start] = process.argv.slice(2);
  const paths = labPaths(dir);
  const starter = { pid: Number(pid), start: Number(start) };
  if (!isRunning(starter)) return; // gone already: touch nothing
  process.env['PATH'] = nodeEnvironment()['PATH']; // with the system folders: ip, nft
  takeLock(paths);
  const made: { daemon?: LabDaemon } = {};
  const end = () => void (made.daemon ? made.daemon.end() : process.exit(0));
  watch(starter, { end, until: () => bond === 'keep' && made.daemon?.isUp === true });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
  process.on('uncaughtException', (error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`);
    end();
  });
  await cleanUpLeftovers(paths);
  const natives = await buildNatives();
  const cgroups = cgroupLayout(readFileSync('/proc/mounts', 'utf8'));
  const acceleration = once(() => findAcceleration(natives, paths.dir));
  const daemon = new LabDaemon({ paths, natives, cgroups, locks: locks === 'locks' }, acceleration);
  made.daemon = daemon;
  await daemon.listen();
}

/** Ends this process if another daemon serves this directory. @throws LabError if that is unclear. */
function takeLock(paths: LabPaths): void {
  const file = paths.daemonLock;
  // Written first, then given its name: whoever reads it never finds it empty.
  const own = `${file}.${process.pid}.new`;
  writeFileSync(own, JSON.stringify(identify(process.pid)));
  process.on('exit', () => rmSync(own, { force: true }));
  for (let tries = 0; tries < 3; tries++) {
    try {
      linkSync(own, file);
      rmSync(own);
      process.on('exit', () => rmSync(file, { force: true }));
      return;
    } catch {
      dropDeadLock(file);
    }
  }
  throw new LabError(`The lab in ${paths.dir} is being started by somebody else.`);
}

function dropDeadLock(file: string): void {
  const holder = readHolder(file);
  if (holder && isRunning(holder)) process.exit(servedAlready);
  // By renaming it first, only one of several that find it dead takes it away.
  const grave = `${file}.${process.pid}`;
  try {
    renameSync(file, grave);
  } catch {
    return;
  }
  // It may have become another one's since it was read.
  const taken = readHolder(grave);
  if (taken && isRunning(taken)) {
    renameSync(grave, file);
    process.exit(servedAlready);
  }
  rmSync(grave, { force: true });
}

/** Ends when that process has ended, unless `until` became true before. */
function watch(starter: ProcessId, options: { end: () => void; until: () => boolean }): void {
  const timer = setInterval(() => {
    const stop = options.until();
    if (!stop && isRunning(starter)) return;
    clearInterval(timer);
    if (!stop) options.end();
  }, 100);
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= work());
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exit(1);
}
