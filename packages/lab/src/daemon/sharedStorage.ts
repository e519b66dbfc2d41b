import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { LabError } from '../labError.js';
import { LineChannel } from '../lineChannel.js';
import { addressOf, storagePort } from '../plan/names.js';
import { sharedStorage } from '../plan/paths.js';
import type { StorageFault } from '../plan/faults.js';
import { identify, type ProcessId } from '../processes.js';

export interface StoragePlan {
  readonly labfs: string;
  readonly host: ProcessId;
  readonly share: string;
  /** Locks that hold for the whole cluster; without them as NFS with nolock. */
  readonly locks: boolean;
  readonly log: string;
}

/** A host's "NFS client": labfs, mounted in the host, run outside of it. */
export class StorageClient {
  private constructor(
    private readonly process: ChildProcess,
    readonly id: ProcessId | undefined,
    private readonly control: LineChannel,
  ) {}

  /** Resolves when /srv/shared is mounted. @throws LabError after 5 s. */
  static async mount(plan: StoragePlan): Promise<StorageClient> {
    const log = openSync(plan.log, 'a', 0o600);
    const { pid, start } = plan.host;
    const args = [pid, start, plan.share, sharedStorage, addressOf('sw', 'storage'), storagePort];
    const child = spawn(
      plan.labfs,
      [...args.map(String), plan.locks ? 'locks' : 'nolocks', String(process.pid)],
      { stdio: ['ignore', log, log, 'pipe'] },
    );
    closeSync(log);
    const control = new LineChannel(child.stdio[3] as Duplex, (line) => line === 'ready');
    const died = new Promise<never>((_, reject) => {
      const tell = () =>
        reject(new LabError(`The shared storage does not mount: ${lastLine(plan.log)}`));
      child.once('exit', tell);
      child.once('error', tell);
    });
    died.catch(() => undefined);
    await Promise.race([control.event(() => true, 5_000, 'the mount of /srv/shared'), died]);
    const id = child.pid === undefined ? undefined : identify(child.pid);
    return new StorageClient(child, id, control);
  }

  async set(fault: StorageFault): Promise<void> {
    await this.control.ask(fault.mode === 'slow' ? `slow ${fault.ms}` : fault.mode);
  }

  /** Ends it at once; whatever it held unanswered fails and never reaches the share. */
  kill(): void {
    this.process.kill('SIGKILL');
    this.control.close();
  }
}

function lastLine(log: string): string {
  try {
    return readFileSync(log, 'utf8').trimEnd().split('\n').at(-1) ?? '';
  } catch {
    return `see ${log}`; // the lab may be gone
  }
}
