import path from 'node:path';
import {
  agentRoutes,
  type FenceOutcome,
  type FenceVmFromPeerCmd,
  type SiblingKey,
} from '@fenceline/protocol';
import { AgentLab, type AgentHost } from '../agent/agentLab.js';

/** What a peer's route answered, and how long the caller waited for it. */
export interface Fenced {
  status: number;
  ms: number;
  body: FencedBody;
}

interface FencedBody {
  success: boolean;
  outcome?: FenceOutcome;
  error?: { code: string; message: string };
  qemuConfirmedDead?: boolean;
  qemuStillAlive?: boolean;
  targetHostUnreachable?: boolean;
  detail?: string;
  barrier?: string;
  stdoutBytes?: number;
  killed?: { pid: number; epoch: number | null }[];
  disks?: { source: string; drained: string }[];
  otherWriters?: { pid: number; comm: string; source: string }[];
}

/** A VM as the server would name it to a peer. */
export interface SiteVm {
  name: string;
  vmUuid: string;
  disk: string;
  xml: string;
}

type Command = Partial<FenceVmFromPeerCmd>;

/**
 * Hosts with agents that were connected as siblings. The test is the server: it asks h2 to fence,
 * through h2's own route, with mutual TLS, as in production.
 */
export class FenceSite {
  readonly suspect: AgentHost;
  readonly peer: AgentHost;

  private constructor(
    readonly agents: AgentLab,
    /** By host uuid. */
    readonly hostKeys: ReadonlyMap<string, string>,
  ) {
    const [suspect, peer] = agents.hosts;
    if (suspect === undefined || peer === undefined) throw new Error('two hosts are needed');
    [this.suspect, this.peer] = [suspect, peer];
  }

  static async up(dir: string, hosts = 2): Promise<FenceSite> {
    const agents = await AgentLab.up(dir, { count: hosts });
    const site = new FenceSite(agents, await hostKeysOf(agents));
    await site.connectAll();
    return site;
  }

  /** Every host lets in the keys that its siblings have now. */
  async connectAll(
    change: { without?: AgentHost; also?: SiblingKey; orderTokens?: boolean } = {},
  ): Promise<void> {
    const { hosts } = this.agents;
    const { orderTokens = false } = change;
    const connect = (agent: AgentHost, siblings: SiblingKey[]) =>
      this.agents.must(agent, agentRoutes.connect, {
        ...{ hostUuid: agent.hostUuid, serverUuid: agent.hostUuid, serverVersion: '1' },
        ...{ siblings, runs: [], orderTokens },
      });
    const siblings: SiblingKey[] = change.also === undefined ? [] : [change.also];
    for (const agent of hosts.filter((one) => one !== change.without)) {
      const { fencePublicKey } = await connect(agent, []);
      const { hostUuid, host } = agent;
      siblings.push({ hostUuid, addresses: [host.address], fencePublicKey });
    }
    for (const agent of hosts) await connect(agent, siblings);
  }

  /** A VM that every host knows. */
  async newVm(name: string): Promise<SiteVm> {
    const disk = await this.agents.lab.createDisk(name);
    const xml = await this.agents.lab.domainXml({ name, disk: disk.path });
    for (const { host } of this.agents.hosts)
      await host.mustExec(['sh', '-c', 'cat | virsh define /dev/stdin'], { input: xml });
    const vmUuid = /<uuid>(.*?)<\/uuid>/.exec(xml)?.[1] ?? '';
    return { name, vmUuid, disk: disk.path, xml };
  }

  /** Starts it through the suspect's agent. Resolves with its pid there. */
  async start(vm: SiteVm, epoch: number): Promise<number> {
    const started = await this.agents.must(this.suspect, agentRoutes.vmStart, {
      ...{ vmUuid: vm.vmUuid, epoch, domainXml: vm.xml, closedRuns: [] },
      bootId: this.suspect.bootId,
    });
    return started.pid ?? 0;
  }

  /** The order that closes run `fenceEpoch` (default 7) of a VM on the suspect. */
  order(vm: Pick<SiteVm, 'vmUuid' | 'disk'>, over: Command = {}, on = this.suspect): Command {
    const { agents, hostKeys } = this;
    return {
      ...{ vmUuid: vm.vmUuid, fenceEpoch: 7, disks: [{ kind: 'file', source: vm.disk }] },
      ...{ targetHostUuid: on.hostUuid, targetHostIp: on.host.address },
      targetHostKeys: [hostKeys.get(on.hostUuid) ?? ''],
      // Somebody on the same net who answers: the management node.
      controls: [{ hostUuid: on.hostUuid, addresses: [agents.lab.mgr.address] }],
      sshTimeoutSec: 10,
      connectTimeoutMs: 3_500,
      ...over,
    };
  }

  /** Asks the peer for all of these at once. */
  async fenceAll(commands: readonly Command[]): Promise<Fenced[]> {
    const where = { host: this.peer.host, path: agentRoutes.fenceVm.path };
    const answers = await this.agents.rawAll(commands.map((fields) => ({ ...where, fields })));
    return answers as Fenced[];
  }

  async fence(vm: Pick<SiteVm, 'vmUuid' | 'disk'>, over: Command = {}): Promise<Fenced> {
    const [fenced] = await this.fenceAll([this.order(vm, over)]);
    if (fenced === undefined) throw new Error('no answer');
    return fenced;
  }
}

async function hostKeysOf(agents: AgentLab): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  for (const { host, hostUuid } of agents.hosts) keys.set(hostUuid, await host.sshHostKey());
  return keys;
}

/** Where a lab of this test may live. */
export function labDir(root: string, name: string): string {
  return path.join(root, `fenceline-e2e-${name}-${process.pid}`);
}

/** The word for what came back: the outcome, or the code of a refusal. */
export function outcomeOf({ body }: Fenced): string {
  return body.outcome ?? body.error?.code ?? 'nothing';
}

/** The three answers as one word, as the server's table reads them. */
export function tripleOf({ body }: Fenced): string {
  const set = [
    body.qemuConfirmedDead === true ? 'dead' : '',
    body.qemuStillAlive === true ? 'alive' : '',
    body.targetHostUnreachable === true ? 'unreachable' : '',
  ].filter((word) => word !== '');
  return set.join('+') || 'none';
}
