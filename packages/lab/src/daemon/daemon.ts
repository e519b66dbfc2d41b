import { rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { messageOf } from '../labError.js';
import { addressOf, type NodeName } from '../plan/names.js';
import type { Acceleration } from '../plan/domainXml.js';
import { identify } from '../processes.js';
import type { LabRequest, LabStatus, NodeState, NodeStatus } from '../requests.js';
import { serveRpc } from '../rpc.js';
import { writeState } from '../stateFile.js';
import { unreachable } from '../unreachable.js';
import { LabNodes } from './lab.js';
import type { LabNode, LabParts } from './labNode.js';
import { readBootId, readHostUuid } from './nodeDir.js';
import { PowerDevice } from './powerDevice.js';

/** The process that owns a lab: parent of all its nodes (they die with it), and its two sockets. */
export class LabDaemon {
  private readonly lab: LabNodes;
  private readonly powerDevice: PowerDevice;
  private readonly servers: Server[] = [];
  private asked = false;
  private wasUp = false;
  private ending: Promise<void> | undefined;

  constructor(
    private readonly parts: LabParts,
    private readonly acceleration: () => Promise<Acceleration>,
  ) {
    this.lab = new LabNodes(parts, () => this.note());
    this.powerDevice = new PowerDevice(this.lab.outlets);
  }

  async listen(): Promise<void> {
    const { paths } = this.parts;
    this.note();
    this.servers.push(
      await serveRpc(paths.powerSocket, (request, gone) => this.powerDevice.handle(request, gone)),
      await serveRpc(paths.daemonSocket, (request, gone) => this.obey(request as LabRequest, gone)),
    );
  }

  /** Ends the lab and then this process. Resolves when only files are left. */
  end(): Promise<void> {
    if (!this.ending) {
      this.note(true);
      this.ending = this.endOnce();
    }
    return this.ending;
  }

  private async endOnce(): Promise<void> {
    try {
      await this.lab.down();
    } finally {
      const { paths } = this.parts;
      for (const server of this.servers) server.close();
      for (const file of [paths.daemonSocket, paths.powerSocket, paths.state]) {
        rmSync(file, { force: true });
      }
      // Whoever asked for the end gets the answer first.
      setTimeout(() => process.exit(0), 20);
    }
  }

  private async obey(request: LabRequest, gone: AbortSignal): Promise<unknown> {
    switch (request.do) {
      case 'ping':
        return undefined;
      case 'up':
        return this.up(request.hosts, gone);
      case 'down':
        return this.end();
      case 'status':
        return this.status();
      case 'power':
        return this.power(request.node, request.action);
      case 'fault':
        return this.lab.faultsOf(request.host).apply(request.fault);
      case 'powerDevice':
        return this.powerDevice.setMode(request.mode);
      default:
        return this.service(request);
    }
  }

  /** True once the first `up` is done. */
  get isUp(): boolean {
    return this.wasUp;
  }

  /** If the first `up` fails, or its caller leaves before it is done, the lab ends again. */
  private async up(hosts: number, gone: AbortSignal): Promise<void> {
    const first = !this.asked;
    this.asked = true;
    if (first) gone.addEventListener('abort', () => !this.wasUp && void this.end());
    try {
      await Promise.all([this.lab.up(hosts), this.acceleration()]);
      this.wasUp = true;
    } catch (error) {
      if (first) await this.end();
      throw error;
    }
  }

  private async power(node: NodeName, action: 'on' | 'off' | 'status'): Promise<string> {
    if (action !== 'status') await this.lab.power(node, action === 'on');
    return this.lab.node(node).current ? 'on' : 'off';
  }

  private async service(request: Extract<LabRequest, { name: string }>): Promise<void> {
    const node = this.lab.node(request.node);
    const { name } = request;
    switch (request.do) {
      case 'startService': {
        const { command, env = {}, cwd = '/', boot = false, restartMs } = request.service;
        const log = this.parts.paths.log(request.node, name);
        const spec = {
          name,
          command,
          env,
          cwd,
          log,
          ...(restartMs !== undefined && { restartMs }),
        };
        await node.on.services.start(spec);
        if (boot) node.bootServices.set(name, spec);
        return;
      }
      case 'stopService':
        node.bootServices.delete(name);
        return node.on.services.stop(name, request.graceMs);
      case 'killService':
        if (request.restarts) return node.on.services.signal(name, 'KILL');
        return node.on.services.kill(name);
      case 'releaseService':
        return node.on.services.release(name);
      default:
        return unreachable(request);
    }
  }

  private async status(): Promise<LabStatus> {
    return {
      dir: this.parts.paths.dir,
      daemonPid: process.pid,
      locks: this.parts.locks,
      acceleration: await this.acceleration(),
      powerDevice: this.powerDevice.mode,
      nodes: await Promise.all([...this.lab.nodes.values()].map((node) => this.nodeStatus(node))),
    };
  }

  private async nodeStatus(node: LabNode): Promise<NodeStatus> {
    const { name, current } = node;
    const faults = node.isHost ? this.lab.faultsOf(name as `h${number}`).list() : [];
    const asks = current && !faults.includes('freeze');
    return {
      name,
      power: current ? 'on' : 'off',
      address: addressOf(name, 'management'),
      ...(name !== 'sw' && { uuid: readHostUuid(this.parts.paths, name) }),
      ...(name !== 'sw' && current && { bootId: readBootId(this.parts.paths, name) }),
      // pid 1 of a node that is just ending does not answer
      services: asks ? await current.services.list().catch(() => []) : [],
      faults,
    };
  }

  /** Writes down what exists, for `lab exec` and for cleaning up after a crash. */
  private note(ending = false): void {
    if (this.ending) return;
    const nodes: Partial<Record<NodeName, NodeState>> = {};
    for (const node of this.lab?.nodes.values() ?? []) {
      const { current } = node;
      if (!current) continue;
      const storage = current.storage?.id;
      nodes[node.name] = {
        init: current.life.init,
        cgroups: node.group.folders,
        ...(storage && { storage }),
      };
    }
    const daemon = identify(process.pid);
    if (!daemon) return;
    try {
      writeState(this.parts.paths, { daemon, nodes, ...(ending && { ending }) });
    } catch (error) {
      process.stderr.write(`cannot write the lab's state: ${messageOf(error)}\n`);
    }
  }
}
