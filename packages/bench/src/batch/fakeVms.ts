import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FenceVm } from '@fenceline/protocol';
import type { BenchHost, BenchSite } from '../site/site.js';

const SOURCE = fileURLToPath(new URL('../../native/fake-qemu.c', import.meta.url));
/** Where the disks are: on the storage that all hosts share, as VMs' images are, or on the host's own. */
export type Storage = 'shared' | 'local';
const FOLDERS: Readonly<Record<Storage, string>> = {
  shared: '/srv/shared/batch',
  local: '/var/lib/fenceline-bench',
};

/** Processes on one host that look like qemu, known to nobody but the process table. */
export class FakeVms {
  #epoch = 0;

  private constructor(
    private readonly on: BenchHost,
    private readonly program: string,
  ) {}

  /** Compiles their program into the lab's own folder. @throws Error with the compiler's words. */
  static async prepare(site: BenchSite, on: BenchHost): Promise<FakeVms> {
    const program = path.join(site.lab.paths.dir, 'fake-qemu');
    const flags = ['-std=gnu17', '-O2', '-Wall', '-Wextra', '-Werror', '-static'];
    const { status, stderr } = spawnSync('gcc', [...flags, '-o', program, SOURCE], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`fake-qemu does not compile: ${stderr ?? ''}`);
    await on.host.mustExec(['mkdir', '-p', ...Object.values(FOLDERS)]);
    return new FakeVms(on, program);
  }

  /** Exactly `count` of them run, with an epoch that none had before; the first `fenced` as an order. */
  async run(count: number, fenced: number, storage: Storage): Promise<FenceVm[]> {
    const folder = FOLDERS[storage];
    await this.#must('end');
    const epoch = (this.#epoch += 1);
    await this.#must('launch', '1', String(count), String(epoch), folder);
    return Array.from({ length: fenced }, (_, i) => ({
      vmUuid: `0c000000-0000-4000-8000-${String(i + 1).padStart(12, '0')}`,
      fenceEpoch: epoch,
      disks: [{ kind: 'file', source: `${folder}/bench-${String(i + 1).padStart(4, '0')}.img` }],
    }));
  }

  /** How many of them live. */
  async living(): Promise<number> {
    const { output = '' } = await this.on.helper.do({
      do: 'run',
      command: ['pgrep', '-c', '-f', 'qemu-system-x86_64.*0c000000-0000-4000-8000-'],
    });
    return Number(output.trim());
  }

  async #must(...args: string[]): Promise<void> {
    const command = [this.program, ...args];
    const { code, output } = await this.on.helper.do({ do: 'run', command });
    if (code !== 0) throw new Error(`fake-qemu ${args.join(' ')} ended with ${code}: ${output}`);
  }
}
