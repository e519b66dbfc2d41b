import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { cgroupLayout, nodesWithGroups, type CgroupLayout } from '../cgroups.js';
import { Lab, type LabOptions } from '../client.js';
import { sleep, until } from '../limits.js';
import { packageRoot } from '../plan/paths.js';
import { identify, isRunning } from '../processes.js';
import { mustRun } from '../run.js';
import { readState } from '../stateFile.js';
import { Vms } from '../vms.js';
import { expectThat, startVm, writes, type LabPromise } from './kit.js';

/** Whole labs: they come and go, and leave nothing behind. Each uses labs of its own. */
export const labPromises: readonly LabPromise[] = [
  {
    name: 'up twice is the same as up once, and up adds hosts',
    check: () =>
      withLab({}, async (lab) => {
        await lab.up(1);
        const first = await lab.host('h1').status();
        await lab.up(1);
        await lab.up(2);
        expectThat(first.bootId === (await lab.host('h1').status()).bootId, 'h1 was booted again');
        expectThat((await lab.host('h2').status()).power === 'on', 'h2 is not there');
        await lab.down();
        await lab.down();
      }),
  },
  {
    name: 'after down nothing is left: processes, mounts, namespaces, control groups, devices',
    check: () =>
      withLab({}, async (lab) => {
        const before = await machineFacts();
        await lab.up(2);
        await startVm(lab, lab.host('h1'));
        await lab.host('h1').fault('storage hang');
        await lab.host('h2').fault('freeze');
        expectThat((await machineFacts()).links === before.links, 'a device in the root network');
        const left = await remember(lab);
        await lab.down();
        await left.mustBeGone();
        const after = await machineFacts();
        expectThat(after.mounts === before.mounts, 'the mounts of the machine have changed');
        expectThat(after.links === before.links, 'the devices of the machine have changed');
      }),
  },
  {
    name: 'purge returns when the daemon and the folder are gone, so that up may follow at once',
    check: () =>
      withLab({}, async (lab) => {
        for (let round = 0; round < 4; round += 1) {
          await lab.up(1);
          const daemon = identify((await lab.status()).daemonPid);
          await lab.purge();
          expectThat(daemon !== undefined && !isRunning(daemon), 'the daemon still runs');
          expectThat(!existsSync(lab.paths.dir), 'the folder is still there');
        }
      }),
  },
  {
    name: 'several ups at once are one, and a down in the middle of an up ends it',
    check: () =>
      withLab({}, async (lab) => {
        const others = [0, 1, 2].map(() => Lab.open({ dir: lab.paths.dir, endsWithMe: true }));
        for (let round = 0; round < 4; round += 1) {
          await Promise.all([lab, ...others].map((one) => one.up(1)));
          await lab.down();
        }
        const up = lab.up(1).catch(() => undefined);
        await until(() => existsSync(lab.paths.daemonLock), { limitMs: 5_000, what: 'a daemon' });
        await Promise.all([up, others[0]?.down()]);
        await lab.down();
        expectThat(!lab.isUp, 'the lab is up');
      }),
  },
  {
    name: 'a lab whose daemon is killed dies with it, and the next up cleans up',
    check: () =>
      withLab({}, async (lab) => {
        await lab.up(1);
        await startVm(lab, lab.host('h1'));
        await lab.host('h1').fault('freeze');
        const left = await remember(lab);
        process.kill((await lab.status()).daemonPid, 'SIGKILL');
        await until(() => !lab.isUp, { limitMs: 20_000, what: 'the daemon to die' });
        await lab.up(1);
        await left.mustBeGone({ upAgain: true });
        await startVm(lab, lab.host('h1'));
      }),
  },
  {
    name: 'a lab that ends with its owner does so, though the owner was killed',
    check: () =>
      withLab({}, async (lab) => {
        const program = path.join(packageRoot, 'dist/selftest/owner.js');
        const owner = spawn(process.execPath, [program, lab.paths.dir], { stdio: 'ignore' });
        const ready = () => lab.isUp && readState(lab.paths)?.nodes.h1?.storage !== undefined;
        await until(ready, { limitMs: 30_000, what: 'the owner to bring its lab up' });
        const left = await remember(lab);
        owner.kill('SIGKILL');
        await left.mustBeGone();
      }),
  },
  {
    name: 'an up that is killed at any moment leaves nothing',
    check: () =>
      withLab({}, async (lab) => {
        const program = path.join(packageRoot, 'dist/selftest/owner.js');
        for (const ms of [60, 100, 150, 200, 300, 400]) {
          const owner = spawn(process.execPath, [program, lab.paths.dir], { stdio: 'ignore' });
          await sleep(ms);
          owner.kill('SIGKILL');
          const lock = lab.paths.daemonLock;
          const gone = () => !lab.isUp && !existsSync(lock);
          await until(gone, { limitMs: 20_000, what: `the end of an up killed after ${ms} ms` });
          expectThat(
            nodesWithGroups(layout(), lab.paths.groupName).length === 0,
            'groups are left',
          );
        }
      }),
  },
  {
    name: 'two labs side by side do not see each other',
    check: () =>
      withLab({}, (one) =>
        withLab({}, async (two) => {
          await Promise.all([one.up(1), two.up(1)]);
          const vm = await startVm(one, one.host('h1'));
          await two.down();
          await writes(one, vm.name);
        }),
      ),
  },
  {
    name: 'with locks, a second start of a running disk is refused',
    check: () =>
      withLab({ locks: true }, async (lab) => {
        await lab.up(2);
        const vm = await startVm(lab, lab.host('h1'));
        const second = await lab.host('h2').exec(['virsh', '-q', 'start', vm.name]);
        expectThat(/Failed to get "write" lock/.test(second.stderr), `it said: ${second.stderr}`);
        await lab.host('h1').mustExec(['pkill', '-9', '-f', '[q]emu-system']);
        await new Vms(lab).start(vm.name, 'h2');
        await writes(lab, vm.name);
        expectThat(lab.check(vm.name).verdict === 'oneWriter', 'the lock did not hold');
      }),
  },
];

/** A lab in a directory of its own, gone afterwards whatever happens. */
async function withLab(options: LabOptions, work: (lab: Lab) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'fenceline-lab-'));
  const lab = Lab.open({ endsWithMe: true, ...options, dir });
  try {
    await work(lab);
  } finally {
    await lab.purge();
  }
}

async function machineFacts(): Promise<{ mounts: string; links: string }> {
  const links = await mustRun(['ip', '-br', 'link']);
  return { mounts: readFileSync('/proc/mounts', 'utf8'), links };
}

/** Notes what a lab consists of now, to find out later that all of it has gone. */
async function remember(lab: Lab) {
  const state = readState(lab.paths);
  const noted = Object.values(state?.nodes ?? {}).flatMap((node) =>
    [node?.init, node?.storage].filter((id) => id !== undefined),
  );
  expectThat(noted.length >= 3, 'the lab notes too few processes');
  const mine = namespacesOf(process.pid);
  const theirs = noted.flatMap(({ pid }) => namespacesOf(pid));
  const spaces = new Set(theirs.filter((space) => !mine.includes(space)));
  return {
    /** @param upAgain the lab is up again: its groups exist, and namespace numbers are reused */
    async mustBeGone({ upAgain = false } = {}): Promise<void> {
      const gone = () => {
        if (noted.some(isRunning)) return false;
        if (upAgain) return true;
        const groups = nodesWithGroups(layout(), lab.paths.groupName);
        const left = usersOf(spaces).length + groups.length;
        return left === 0 && !existsSync(lab.paths.daemonSocket);
      };
      await until(gone, { limitMs: 20_000, what: 'everything of the lab to be gone' });
    },
  };
}

function layout(): CgroupLayout {
  return cgroupLayout(readFileSync('/proc/mounts', 'utf8'));
}

function namespacesOf(pid: number): string[] {
  const names = ['net', 'mnt', 'pid', 'uts', 'ipc'];
  try {
    return names.map((name) => readlinkSync(`/proc/${pid}/ns/${name}`));
  } catch {
    return [];
  }
}

/** Processes that live in one of these namespaces. */
function usersOf(spaces: ReadonlySet<string>): number[] {
  return allPids().filter((pid) => namespacesOf(pid).some((space) => spaces.has(space)));
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}
