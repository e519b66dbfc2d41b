import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { NodeGroup } from '../cgroups.js';
import { LabError } from '../labError.js';
import { within } from '../limits.js';
import { LineChannel } from '../lineChannel.js';
import { identify, type ProcessId } from '../processes.js';

export interface LifePlan {
  readonly labnode: string;
  readonly name: string;
  readonly steps: readonly string[];
  readonly group: NodeGroup;
  readonly env: NodeJS.ProcessEnv;
}

/** One life of a node, from power on to power off. */
export class Life {
  /** Fires when the node is being, or has been, switched off. */
  readonly over = new AbortController();
  /** Settles when nothing of the node runs any more. */
  readonly ended: Promise<void>;

  /** Pid 1 of the node, as the machine counts. */
  readonly init: ProcessId;
  /** The conversation with pid 1. */
  readonly control: LineChannel;
  private readonly outer: ChildProcess;

  private constructor(
    parts: { outer: ChildProcess; init: ProcessId; control: LineChannel },
    private readonly group: NodeGroup,
  ) {
    this.outer = parts.outer;
    this.init = parts.init;
    this.control = parts.control;
    const gone = new LabError('The node is off.');
    this.ended = exitOf(parts.outer).then(() => this.over.abort(gone));
  }

  /**
   * Makes the node's namespaces and mounts; no net, no services yet.
   * @throws LabError with the helper's own words if that does not work within 10 s.
   */
  static async begin(plan: LifePlan): Promise<Life> {
    plan.group.create();
    const outer = spawn(plan.labnode, [plan.name, String(process.pid), ...plan.steps], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      env: plan.env,
    });
    let complaint = '';
    outer.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    const control = new LineChannel(outer.stdio[3] as Duplex, (line) =>
      /^(mounted|started |ended )/.test(line),
    );
    const mounted = control.event((line) => line === 'mounted', 10_000, `${plan.name}'s mounts`);
    const died = exitOf(outer).then(() => {
      throw new LabError(`${plan.name} cannot be made: ${complaint.trim() || 'it ended at once'}`);
    });
    died.catch(() => undefined);
    mounted.catch(() => undefined);
    const pid = await Promise.race([innerPid(outer), died]);
    await Promise.race([mounted, died]);
    const init = identify(pid);
    if (!init) throw new LabError(`${plan.name} ended while it was made.`);
    return new Life({ outer, init, control }, plan.group);
  }

  /**
   * The power cut: every process of the node is killed at once, and it is made sure that none is left.
   * @throws LabError if one cannot be killed within 10 s: then the node counts as on.
   */
  async end(): Promise<void> {
    this.over.abort(new LabError('The node was switched off.'));
    await this.group.killAll(10_000);
    // In the machine's eyes the node is gone when the kernel has ended its pid namespace.
    this.outer.kill('SIGKILL');
    await within(10_000, 'the end of the node', this.ended);
    this.control.close();
  }
}

async function innerPid(outer: ChildProcess): Promise<number> {
  const [data] = (await once(outer.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const match = /^pid (\d+)$/m.exec(String(data));
  if (!match) throw new LabError(`labnode said something unexpected: ${String(data)}`);
  return Number(match[1]);
}

function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
}
