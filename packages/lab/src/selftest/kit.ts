import { randomUUID } from 'node:crypto';
import type { Lab } from '../client.js';
import type { HostHandle, NodeHandle } from '../hostHandle.js';
import { LabError } from '../labError.js';
import { sleep, until } from '../limits.js';
import { Vms } from '../vms.js';

/** One promise of the lab, and how it is put to the test. */
export interface LabPromise {
  readonly name: string;
  /** A fault that not every machine can have. */
  readonly needs?: string;
  /** @throws anything if the promise is not kept */
  check(lab: Lab): Promise<void>;
}

/** A VM of a self-test, running on a host. */
export interface TestVm {
  readonly name: string;
  readonly uuid: string;
}

export function expectThat(holds: boolean, otherwise: string): void {
  if (!holds) throw new LabError(otherwise);
}

/** A new VM, defined on all hosts, started on `host` and seen writing. */
export async function startVm(lab: Lab, host: HostHandle): Promise<TestVm> {
  const name = `t-${randomUUID().slice(0, 8)}`;
  const vms = new Vms(lab);
  const uuid = await vms.create(name);
  await vms.start(name, host.name);
  await writes(lab, name);
  return { name, uuid };
}

export function counterOf(lab: Lab, disk: string): number {
  return lab.check(disk).counter;
}

/** What must come is waited for so long, in ms: on a busy machine a guest may need seconds to boot. */
const patienceMs = 30_000;

/** Waits until the guest has written at least two more stamps. */
export async function writes(lab: Lab, disk: string): Promise<void> {
  const before = counterOf(lab, disk);
  const what = `disk ${disk} to be written`;
  await until(() => counterOf(lab, disk) >= before + 2, { limitMs: patienceMs, what });
}

/** Makes sure that nothing is written for a while (a guest writes 18 times a second). */
export async function isSilent(lab: Lab, disk: string, ms = 400): Promise<void> {
  const before = counterOf(lab, disk);
  await sleep(ms);
  const after = counterOf(lab, disk);
  expectThat(after === before, `disk ${disk} was written ${after - before} times meanwhile`);
}

/** Like `isSilent`, after what was on its way to the share has arrived. */
export async function fallsSilent(lab: Lab, disk: string): Promise<void> {
  const silent = async () => {
    const before = counterOf(lab, disk);
    await sleep(400);
    return counterOf(lab, disk) === before;
  };
  await until(silent, { limitMs: 3_000, what: `disk ${disk} to be left alone` });
}

/** The pid of a VM's qemu as its host counts; undefined if pgrep finds none. */
export async function qemuPid(host: NodeHandle, uuid: string): Promise<number | undefined> {
  // The brackets keep pgrep from finding a shell that has this pattern in its own command line.
  const { stdout } = await host.exec(['pgrep', '-f', `[q]emu-system.*${uuid}`]);
  const pid = Number(stdout.split('\n')[0]);
  return pid > 0 ? pid : undefined;
}

/** Waits until a thread of this qemu waits for the host's storage. */
export async function waitsForStorage(host: NodeHandle, pid: number): Promise<void> {
  const command = ['sh', '-c', `grep -q request_wait_answer /proc/${pid}/task/*/wchan`];
  const waits = async () => (await host.exec(command)).code === 0;
  await until(waits, { limitMs: patienceMs, what: 'a request to hang' });
}

/** What an ssh client on `mgr` sees of a host within 2 s. */
export async function sshFromMgr(lab: Lab, host: HostHandle): Promise<string> {
  const options = ['-o', 'BatchMode=yes', '-o', 'ConnectTimeout=2'];
  const command = ['ssh', ...options, host.address, 'echo', 'answered'];
  const result = await lab.mgr.exec(command, { timeoutMs: 8_000 });
  return `${result.stdout}${result.stderr}`.trim();
}

/** Waits until a login from `mgr` works. */
export async function sshWorks(lab: Lab, host: HostHandle): Promise<void> {
  const works = async () => (await sshFromMgr(lab, host)) === 'answered';
  await until(works, { limitMs: patienceMs, what: `a login to ${host.name}` });
}

/** Runs `work`; whatever happens, the host is well again afterwards. */
export async function thenHeal(host: HostHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await host.fault('clear');
  }
}
