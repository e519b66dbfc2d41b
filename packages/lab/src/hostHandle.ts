import path from 'node:path';
import { LabError } from './labError.js';
import { buildNatives } from './natives.js';
import { nodeEnvironment } from './plan/environment.js';
import { addressOf, plainName, type HostName, type NodeName } from './plan/names.js';
import { parseFault, type Fault } from './plan/faults.js';
import { isBelow, type LabPaths } from './plan/paths.js';
import type { LabRequest, NodeStatus, ServiceRequest } from './requests.js';
import { run, type RunOptions, type RunResult } from './run.js';
import { runningLab } from './stateFile.js';

/** How a handle talks to the lab it belongs to. */
export interface LabLink {
  readonly paths: LabPaths;
  ask(request: LabRequest, timeoutMs?: number): Promise<unknown>;
  nodeStatus(name: NodeName): Promise<NodeStatus>;
}

export interface ExecOptions extends Omit<RunOptions, 'cwd'> {
  /** Folder to run in, as the node sees it. Default /. */
  readonly cwd?: string;
}

/** A node of the lab: `mgr`, or a host. */
export class NodeHandle {
  constructor(
    readonly name: NodeName,
    protected readonly lab: LabLink,
  ) {}

  /** On the management net. */
  get address(): string {
    return addressOf(this.name, 'management');
  }

  /**
   * Runs a command in the node's namespaces and control groups, whatever its exit code; killed after
   * `timeoutMs` (default 30 s). Its environment is the node's, plus `env`.
   * @throws LabError if the node is off.
   */
  async exec(command: readonly string[], options: ExecOptions = {}): Promise<RunResult> {
    const { cwd, env, ...rest } = options;
    const line = await enterCommand(this.lab.paths, this.name, { command, cwd: cwd ?? '/' });
    return run(line, { ...rest, env: nodeEnvironment(env) });
  }

  /** Like `exec`, for a command that must succeed. Resolves with its standard output. */
  async mustExec(command: readonly string[], options?: ExecOptions): Promise<string> {
    const result = await this.exec(command, options);
    if (result.code === 0) return result.stdout;
    const why = result.timedOut ? 'took too long' : `ended with ${result.code}`;
    throw new LabError(`${command.join(' ')} in ${this.name} ${why}: ${result.stderr.trim()}`);
  }

  /**
   * A file or folder of the node as the machine sees it, also while the node is off.
   * @throws LabError for what does not persist: only /etc, /var and /root do.
   */
  pathOf(inside: string): string {
    if (['/etc', '/var', '/root'].some((top) => isBelow(inside, top))) {
      return path.join(this.lab.paths.node(this.name), path.normalize(inside));
    }
    throw new LabError(`${inside} is not kept by ${this.name}: only /etc, /var and /root are.`);
  }

  async status(): Promise<NodeStatus> {
    return this.lab.nodeStatus(this.name);
  }

  /** Switches on (and waits until it has booted) or off (until nothing of it runs). */
  async power(action: 'on' | 'off'): Promise<void> {
    await this.lab.ask({ do: 'power', node: this.name, action });
  }

  /** Where a service's output goes, as the machine and every node see it. */
  logOf(service: string): string {
    return this.lab.paths.log(this.name, service);
  }

  /** Starts a program that lives and dies with the node. @throws LabError if it runs already. */
  async startService(name: string, service: ServiceRequest): Promise<void> {
    const request = { node: this.name, name: plainName(name, 'service'), service };
    await this.lab.ask({ do: 'startService', ...request });
  }

  /** SIGTERM, SIGKILL after `graceMs`; forgotten then, also for later boots. */
  async stopService(name: string, graceMs = 5_000): Promise<void> {
    await this.lab.ask({ do: 'stopService', node: this.name, name, graceMs });
  }

  /** SIGKILL to its process group. Without `restarts` it stays dead until `releaseService`. */
  async killService(name: string, restarts = false): Promise<void> {
    await this.lab.ask({ do: 'killService', node: this.name, name, restarts });
  }

  /** Lets a killed service run again, at once. */
  async releaseService(name: string): Promise<void> {
    await this.lab.ask({ do: 'releaseService', node: this.name, name });
  }
}

/** A KVM host of the lab. */
export class HostHandle extends NodeHandle {
  constructor(
    override readonly name: HostName,
    lab: LabLink,
  ) {
    super(name, lab);
  }

  /** As typed (`'storage slow 200'`) or as data. @throws LabError naming the faults there are. */
  async fault(fault: string | Fault): Promise<void> {
    const parsed = typeof fault === 'string' ? parseFault(fault.split(/\s+/)) : fault;
    await this.lab.ask({ do: 'fault', host: this.name, fault: parsed });
  }

  /** The public half of its SSH host key, as in known_hosts: `ssh-ed25519 AAAA…`. */
  async sshHostKey(): Promise<string> {
    const key = await this.mustExec(['cat', '/etc/ssh/ssh_host_ed25519_key.pub']);
    return key.trim().split(' ').slice(0, 2).join(' ');
  }
}

/** The command line that runs another one inside a node. @throws LabError if it is off. */
export async function enterCommand(
  paths: LabPaths,
  node: NodeName,
  inner: { command: readonly string[]; cwd: string },
): Promise<string[]> {
  const state = runningLab(paths);
  if (!state) throw new LabError(`No lab runs in ${paths.dir}. Start it: scripts/lab up`);
  const found = state.nodes[node];
  if (!found) throw new LabError(`${node} is off, or not part of this lab (scripts/lab status).`);
  const { labenter } = await buildNatives();
  const groups = found.cgroups.flatMap((folder) => ['--cgroup', folder]);
  const { pid, start } = found.init;
  const where = ['--pid', String(pid), '--start', String(start), ...groups, '--dir', inner.cwd];
  return [labenter, ...where, '--', ...inner.command];
}
