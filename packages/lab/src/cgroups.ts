import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { LabError } from './labError.js';
import { sleep, until } from './limits.js';
import { identify, killProcess } from './processes.js';

type Controller = 'freezer' | 'cpu' | 'pids' | 'memory';

/** Where this machine has its control groups: version 2, version 1, or (hybrid) both. */
export interface CgroupLayout {
  /** The version 2 tree, if it is mounted. */
  readonly unified?: string;
  /** Version 1 hierarchies. */
  readonly v1: Readonly<Partial<Record<Controller, string>>>;
}

/** Reads the layout from the text of /proc/mounts. */
export function cgroupLayout(mounts: string): CgroupLayout {
  const v1: Partial<Record<Controller, string>> = {};
  let unified: string | undefined;
  for (const line of mounts.split('\n')) {
    const [, dir = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup2') unified ??= dir;
    if (type !== 'cgroup') continue;
    for (const name of ['freezer', 'cpu', 'pids', 'memory'] as const) {
      if (options.split(',').includes(name)) v1[name] ??= dir;
    }
  }
  return { ...(unified !== undefined && { unified }), v1 };
}

/**
 * The control groups of one node: they freeze it, slow it down, count its processes, and list
 * every process of it whatever its namespaces.
 */
export class NodeGroup {
  private readonly unified: string | undefined;
  private readonly v1: Partial<Record<Controller, string>> = {};

  constructor(layout: CgroupLayout, labGroup: string, node: string) {
    const place = (root: string) => path.join(root, labGroup, node);
    this.unified = layout.unified === undefined ? undefined : place(layout.unified);
    for (const [name, root] of Object.entries(layout.v1)) {
      // Version 2 freezes better (a frozen process can be killed): version 1 only without it.
      if (name === 'freezer' && this.unified !== undefined) continue;
      this.v1[name as Controller] = place(root);
    }
  }

  /** The folders a process must join to be in this group. */
  get folders(): string[] {
    return [...(this.unified === undefined ? [] : [this.unified]), ...Object.values(this.v1)];
  }

  /** Makes the folders. Existing ones are fine. */
  create(): void {
    for (const dir of this.folders) mkdirSync(dir, { recursive: true });
    const { unified } = this;
    if (unified === undefined) return;
    const lab = path.dirname(unified);
    for (const parent of [path.dirname(lab), lab]) {
      for (const controller of ['cpu', 'pids']) {
        try {
          writeFileSync(path.join(parent, 'cgroup.subtree_control'), `+${controller}`);
        } catch {
          // version 1 has that controller, or we may not: said when a fault needs it
        }
      }
    }
  }

  /** Ends every process of the group, frozen ones too, and waits until none is left. */
  async killAll(limitMs: number): Promise<void> {
    const all = this.unified && path.join(this.unified, 'cgroup.kill');
    if (all !== undefined && existsSync(all)) writeFileSync(all, '1');
    for (const pid of this.pids()) this.killMember(pid);
    this.thaw(); // safety: their SIGKILL is pending, so none runs another instruction of its own
    await until(
      () => {
        const left = this.pids();
        for (const pid of left) this.killMember(pid);
        return left.length === 0;
      },
      { limitMs, what: 'all processes of a node to end', everyMs: 10 },
    );
  }

  /** Removes the empty folders. A group dies a little after its last process. */
  async remove(): Promise<void> {
    for (const dir of this.folders) {
      for (let tries = 0; existsSync(dir) && tries < 50; tries++) {
        try {
          rmdirSync(dir);
        } catch {
          await sleep(10);
        }
      }
    }
  }

  /** All pids of the group, as the machine counts. */
  pids(): number[] {
    return [...new Set(this.folders.flatMap(pidsOf))];
  }

  async freeze(): Promise<void> {
    const [dir, file, value] = this.freezer('1', 'FROZEN');
    writeFileSync(path.join(dir, file), value);
    const frozen = () =>
      file === 'cgroup.freeze'
        ? /^frozen 1$/m.test(readFileSync(path.join(dir, 'cgroup.events'), 'utf8'))
        : readFileSync(path.join(dir, file), 'utf8').trim() === 'FROZEN';
    await until(frozen, {
      limitMs: 5_000,
      what: 'the host to freeze (a process that waits for its storage delays it)',
      everyMs: 5,
    });
  }

  thaw(): void {
    if (this.unified === undefined && this.v1.freezer === undefined) return;
    const [dir, file, value] = this.freezer('0', 'THAWED');
    if (existsSync(path.join(dir, file))) writeFileSync(path.join(dir, file), value);
  }

  /** @param percent of one core; undefined: no limit */
  limitCpu(percent: number | undefined): void {
    const microseconds = percent === undefined ? -1 : Math.max(1, percent) * 1_000;
    if (this.v1.cpu !== undefined) {
      writeFileSync(path.join(this.v1.cpu, 'cpu.cfs_quota_us'), String(microseconds));
      return;
    }
    const quota = microseconds < 0 ? 'max' : String(microseconds);
    writeFileSync(this.file2('cpu.max', 'slow a host down'), `${quota} 100000`);
  }

  /** @param room tasks allowed beyond those there are; undefined: no limit */
  limitPids(room: number | undefined): void {
    const dir = this.v1.pids;
    const file = (name: string) =>
      dir === undefined ? this.file2(name, 'limit processes') : path.join(dir, name);
    const now = Number(readFileSync(file('pids.current'), 'utf8'));
    writeFileSync(file('pids.max'), room === undefined ? 'max' : String(now + room));
  }

  /**
   * @param roomBytes memory allowed beyond what is used now, and nobody is killed when it is used up:
   * who needs more waits, or is told that there is none; undefined: no limit
   * @throws LabError without control groups of version 1: others always kill somebody.
   */
  limitMemory(roomBytes: number | undefined): void {
    const write = (name: string, value: string) => writeFileSync(this.memory(name), value);
    if (roomBytes === undefined) {
      write('memory.limit_in_bytes', '-1');
      write('memory.oom_control', '0');
      return;
    }
    write('memory.oom_control', '1');
    const used = Number(readFileSync(this.memory('memory.usage_in_bytes'), 'utf8'));
    write('memory.limit_in_bytes', String(used + roomBytes));
  }

  /** Somebody waits for memory now. */
  get isOutOfMemory(): boolean {
    return /^under_oom 1$/m.test(readFileSync(this.memory('memory.oom_control'), 'utf8'));
  }

  private memory(name: string): string {
    if (this.v1.memory !== undefined) return path.join(this.v1.memory, name);
    throw new LabError(
      'This machine has no control group of version 1 for memory, so no host can be out of it.',
    );
  }

  private freezer(v2: string, v1: string): [string, string, string] {
    if (this.unified !== undefined) return [this.unified, 'cgroup.freeze', v2];
    if (this.v1.freezer !== undefined) return [this.v1.freezer, 'freezer.state', v1];
    throw new LabError('This machine has no control group that can freeze a host.');
  }

  private file2(name: string, purpose: string): string {
    const file = this.unified && path.join(this.unified, name);
    if (file !== undefined && existsSync(file)) return file;
    throw new LabError(`This machine has no control group ${name}, so the lab cannot ${purpose}.`);
  }

  private killMember(pid: number): void {
    const id = identify(pid);
    // safety: between listing and killing the pid may have changed hands
    if (id && this.folders.some((dir) => pidsOf(dir).includes(pid))) killProcess(id);
  }
}

function pidsOf(dir: string): number[] {
  try {
    const text = readFileSync(path.join(dir, 'cgroup.procs'), 'utf8');
    return text.split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** The nodes of which a lab has control groups, also after a crash of everything else. */
export function nodesWithGroups(layout: CgroupLayout, labGroup: string): string[] {
  const roots = [layout.unified, ...Object.values(layout.v1)].filter((r) => r !== undefined);
  const names = roots.flatMap((root) => {
    const dir = path.join(root, labGroup);
    if (!existsSync(dir)) return [];
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  });
  return [...new Set(names)];
}

/** Removes the lab's own (by then empty) groups. */
export function removeLabGroup(layout: CgroupLayout, labGroup: string): void {
  for (const root of [layout.unified, ...Object.values(layout.v1)]) {
    if (root === undefined) continue;
    try {
      rmdirSync(path.join(root, labGroup));
    } catch {
      // not there, or a node's group is still dying: the next up or down takes it away
    }
  }
}
