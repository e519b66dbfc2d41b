import { LabError } from '../labError.js';
import {
  addressScript,
  cableScript,
  netsOf,
  plugScript,
  switchScript,
  uncableScript,
  unplugScript,
} from '../plan/net.js';
import type { SshRule } from '../plan/faults.js';
import type { NetName, NodeName } from '../plan/names.js';
import { isAlive, type ProcessId } from '../processes.js';
import { mustRun } from '../run.js';

/** The lab's switch: everything below happens in network namespaces of the lab, never in the machine's. */
export class Network {
  /** Loose cables; they stay loose over a reboot, as real ones do. */
  private readonly loose = new Map<NodeName, Set<NetName>>();
  private queue: Promise<unknown> = Promise.resolve();

  constructor(private readonly sw: ProcessId) {}

  /** Makes the bridges. */
  async start(): Promise<void> {
    await inNet(this.sw, ['ip', '-batch', '-'], switchScript());
  }

  /** Plugs a fresh node in and gives it its addresses. Cables of its former life are taken away. */
  async connect(node: NodeName, init: ProcessId): Promise<void> {
    await this.inSwitch(uncableScript(node), 'tryAll');
    await this.inSwitch(cableScript(node, init.pid, this.loose.get(node) ?? new Set()));
    await inNet(init, ['ip', '-batch', '-'], addressScript(node));
  }

  async cut(node: NodeName, net: NetName): Promise<void> {
    this.mark(node).add(net);
    await this.inSwitch(unplugScript(node, net));
  }

  async restore(node: NodeName, net: NetName, isOn: boolean): Promise<void> {
    if (this.mark(node).delete(net) && isOn) await this.inSwitch(plugScript(node, net));
  }

  cutNets(node: NodeName): NetName[] {
    return netsOf(node).filter((net) => this.loose.get(node)?.has(net));
  }

  private mark(node: NodeName): Set<NetName> {
    const nets = this.loose.get(node) ?? new Set();
    this.loose.set(node, nets);
    return nets;
  }

  /** One script at a time: two at once would find half of each other's devices. */
  private inSwitch(script: string, mode: 'all' | 'tryAll' = 'all'): Promise<void> {
    const command = mode === 'all' ? ['ip', '-batch', '-'] : ['ip', '-force', '-batch', '-'];
    const done = this.queue.then(() => inNet(this.sw, command, script));
    const work = mode === 'all' ? done : done.catch(() => undefined);
    this.queue = work.catch(() => undefined);
    return work;
  }
}

/** Rules of a host's own firewall, for what arrives. A reject's answer looks like a dead host's router. */
const inputRules: Record<SshRule, string> = {
  drop: 'tcp dport 22 drop',
  reject: 'tcp dport 22 reject with tcp reset',
  unreach: 'tcp dport 22 reject with icmpx type host-unreachable',
  mute: 'drop',
};

/** What a host's firewall does to what arrives, standing sessions included. */
export async function setSshRule(host: ProcessId, rule: SshRule | 'none'): Promise<void> {
  const lines = [
    'add table inet lab',
    'delete table inet lab',
    ...(rule === 'none'
      ? []
      : [
          'add table inet lab',
          'add chain inet lab in { type filter hook input priority 0; }',
          `add rule inet lab in ${inputRules[rule]}`,
        ]),
  ];
  await inNet(host, ['nft', '-f', '-'], `${lines.join('\n')}\n`);
}

/** Runs a program of the machine in just the network namespace of a node. */
async function inNet(node: ProcessId, command: string[], input: string): Promise<void> {
  // safety: a pid that has changed hands could lead into the machine's own network
  if (!isAlive(node)) throw new LabError('The node is off.');
  const enter = ['nsenter', `--net=/proc/${node.pid}/ns/net`, '--'];
  await mustRun([...enter, ...command], { input: `${input}\n`, timeoutMs: 10_000 });
}
