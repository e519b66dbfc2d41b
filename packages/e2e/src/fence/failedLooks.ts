import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HostHandle } from '@fenceline/lab';
import { servePrograms } from './badPrograms.js';

const PACKAGES = fileURLToPath(new URL('../../../', import.meta.url));
const NATIVE = path.join(PACKAGES, 'native');
const PROGRAMS = {
  /** As it is installed, but dynamic: calls of it can be made to fail. */
  native: path.join(NATIVE, 'build/dynamic/fenceline-fence'),
  bash: path.join(PACKAGES, 'agent/src/fence/program/fenceline-fence'),
};
const ENOMEM = 12;

interface FailedLook {
  name: string;
  program: keyof typeof PROGRAMS;
  /** For packages/native/test/inject.c; PID is the VM's qemu. */
  fault: string;
  outcome: string;
  /** What became of the VM's qemu, whom the program could see or not. */
  qemu: 'lives' | 'killed';
}

/** What a host without memory says to one who looks. All but the last concern the VM's qemu itself. */
export const FAILED_LOOKS: readonly FailedLook[] = [
  {
    name: 'the list of processes',
    program: 'native',
    fault: 'INJECT_CALL=getdents INJECT_PATH=/proc INJECT_EXACT=1',
    outcome: 'controlFailed',
    qemu: 'lives',
  },
  {
    name: 'all about the qemu',
    program: 'native',
    fault: 'INJECT_CALL=open INJECT_PATH=/proc/PID/',
    outcome: 'controlFailed',
    qemu: 'lives',
  },
  {
    name: 'all about the qemu, in bash',
    program: 'bash',
    fault: 'INJECT_CALL=open INJECT_PATH=/proc/PID/',
    outcome: 'controlFailed',
    qemu: 'lives',
  },
  {
    name: 'the folder of libvirt',
    program: 'native',
    fault: 'INJECT_CALL=open INJECT_PATH=/run/libvirt/qemu INJECT_EXACT=1',
    outcome: 'controlFailed',
    qemu: 'killed',
  },
  {
    name: 'the open files of others',
    program: 'native',
    fault: 'INJECT_CALL=readlink INJECT_PATH=/proc/1/fd/',
    outcome: 'notDrained',
    qemu: 'killed',
  },
];

/** Serves a program for each, whose look fails so. Resolves with the ports. */
export async function serveFailedLooks(
  host: HostHandle,
  pids: readonly number[],
): Promise<number[]> {
  const build = path.join(NATIVE, 'build');
  // Unit tests, which may run at the same time, build it, too.
  const made = spawnSync('flock', [build, 'make', '-sC', NATIVE, 'dynamic'], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`make dynamic: ${made.stderr}`);
  const words =
    '--run-dir /run/fenceline --state-dir /var/lib/fenceline/agent --uri qemu:///system';
  const scripts = FAILED_LOOKS.map(({ program, fault }, i) => {
    const where = fault.replace('PID', String(pids[i]));
    const inject = `LD_PRELOAD=${build}/inject.so ${where} INJECT_DO=${ENOMEM}`;
    return `#!/bin/bash\nexec env ${inject} ${PROGRAMS[program]} ${words}\n`;
  });
  return servePrograms(host, scripts);
}
