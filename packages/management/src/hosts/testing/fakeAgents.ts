import { sleep, type Clock } from '@fenceline/common';
import {
  agentRoutes,
  DomainError,
  parseBody,
  TransportError,
  type CallOptions,
  type ConnectHostCmd,
  type EchoCmd,
  type FenceKeyCmd,
  type OrderTokensCmd,
  type Route,
  type ScanHostCmd,
  type WatchItem,
} from '@fenceline/protocol';
import type { AgentAddress, AgentGateway } from '../agentGateway.js';
import { FakeAgent } from './fakeAgent.js';

/** One call as the fake saw it. */
export interface SeenCall {
  hostUuid: string;
  route: string;
  command: object;
  atMs: number;
}

/** Agents of a whole cluster, in this process: a stand-in for the network behind `AgentGateway`. */
export class FakeAgents implements AgentGateway {
  readonly calls: SeenCall[] = [];
  readonly #byAddress = new Map<string, FakeAgent>();

  constructor(readonly clock: Clock) {}

  add(hostUuid: string, address: string): FakeAgent {
    const agent = new FakeAgent(this.clock, hostUuid, [address]);
    this.#byAddress.set(address, agent);
    return agent;
  }

  callsOf(route: string, hostUuid?: string): SeenCall[] {
    return this.calls.filter(
      (call) => call.route === route && (hostUuid === undefined || call.hostUuid === hostUuid),
    );
  }

  async call<Req extends object, Rsp extends object>(
    agent: AgentAddress,
    route: Route<Req, Rsp>,
    request: { command: Req } & CallOptions,
  ): Promise<Rsp> {
    const { hostUuid } = agent;
    const { command, deadlineMs, signal } = request;
    this.calls.push({ hostUuid, route: route.name, command, atMs: this.clock.monotonicMs() });
    const fake = await this.#reach(agent, { limitMs: deadlineMs, ...(signal && { signal }) });
    const script = fake.scripts[route.name] ?? {};
    await this.#wait(script.delayMs ?? 1, { deadlineMs, ...(signal && { signal }) });
    if (script.fails !== undefined) throw script.fails;
    parseBody(route.request, structuredClone({ ...command }));
    const answer = { success: true, ...this.#answer(fake, route.name, command), ...script.answer };
    return parseBody(route.response, JSON.parse(JSON.stringify(answer)));
  }

  async *watch(
    agent: AgentAddress,
    options: { heartbeatEveryMs: number; connectTimeoutMs: number; signal: AbortSignal },
  ): AsyncIterable<WatchItem> {
    const { signal, connectTimeoutMs } = options;
    const fake = await this.#reach(agent, { limitMs: connectTimeoutMs, signal });
    await sleep(this.clock, 1, signal);
    if (fake.watchRoute === 'noRoute') throw new TransportError('other', '/host/watch: HTTP 404');
    yield* fake.watch(options.heartbeatEveryMs, signal);
  }

  /** @throws TransportError as the network would */
  async #reach(
    { address }: AgentAddress,
    { limitMs, signal }: { limitMs: number; signal?: AbortSignal },
  ): Promise<FakeAgent> {
    const fake = this.#byAddress.get(address);
    const silent =
      fake === undefined || fake.power === 'off' || fake.serverLink === 'cut' || fake.frozen;
    if (silent) {
      await this.#sleep(limitMs, signal);
      throw new TransportError('timeout', `no answer within ${limitMs} ms`);
    }
    if (!fake.agentUp) {
      await this.#sleep(1, signal);
      throw new TransportError('refused', 'ECONNREFUSED');
    }
    return fake;
  }

  async #wait(delayMs: number, { deadlineMs, signal }: CallOptions): Promise<void> {
    await this.#sleep(Math.min(delayMs, deadlineMs), signal);
    if (delayMs >= deadlineMs)
      throw new TransportError('timeout', `no answer within ${deadlineMs} ms`);
  }

  async #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await sleep(this.clock, ms, signal).catch(() => {
      throw new TransportError('aborted', 'aborted');
    });
  }

  #answer(fake: FakeAgent, route: string, command: object): object {
    const { agentInstance, agentVersion, bootId, addresses, sshHostKeys, hostUuid } = fake;
    switch (route) {
      case agentRoutes.echo.name:
        return { nonce: (command as EchoCmd).nonce };
      case agentRoutes.ping.name:
        return {
          agentInstance,
          agentVersion,
          protocolVersion: fake.protocolVersion,
          bootId,
          ...(fake.knowsItself ? { hostUuid } : {}),
        };
      case agentRoutes.facts.name:
        return { ...factsOf(fake), bootId, addresses, sshHostKeys };
      case agentRoutes.connect.name:
        if ((command as ConnectHostCmd).hostUuid !== hostUuid)
          throw new DomainError('CONFLICT', 'this is another host');
        return {
          agentInstance,
          agentVersion,
          bootId,
          addresses,
          sshHostKeys,
          fencePublicKey: fake.fencePublicKey,
          ...(fake.doorPort === undefined ? {} : { doorPort: fake.doorPort }),
          seeded: true,
        };
      case agentRoutes.fenceLines.name:
        return { lines: [] };
      case agentRoutes.orderTokens.name:
        fake.orderTokens = (command as OrderTokensCmd).tokens;
        return { held: fake.orderTokens.length };
      case agentRoutes.fenceKey.name:
        return fenceKeyOf(fake, command as FenceKeyCmd);
      case agentRoutes.protect.name:
        return { hook: { working: true, checkedAgeMs: 0, protectedVms: 0 } };
      case agentRoutes.capacity.name:
        return { cpus: fake.cpus, memoryMiB: fake.memoryMiB, memoryAvailableMiB: fake.memoryMiB };
      case agentRoutes.vmSync.name:
        return { vms: fake.vms, libvirtAnswered: fake.libvirtAnswered, bootId, unattributed: 0 };
      case agentRoutes.scanHost.name:
        return this.#scan(fake, command as ScanHostCmd);
      default:
        throw new DomainError('NO_SUCH_ROUTE', `${route}: agent endpoint not found`);
    }
  }

  #scan(sibling: FakeAgent, { targetHostUuid, targetAddresses }: ScanHostCmd): object {
    const scripted = sibling.scans.get(targetHostUuid);
    if (scripted !== undefined) return { unstable: false, signsOfLife: [], ...scripted };
    const target = this.#byAddress.get(targetAddresses[0] ?? '');
    const level = target?.visible ?? 'nothing';
    const signsOfLife = level === 'nothing' ? [] : ['tcp:22 banner'];
    return { level, unstable: false, signsOfLife };
  }
}

function fenceKeyOf(fake: FakeAgent, { step, fencePublicKey }: FenceKeyCmd): object {
  if (step === 'prepare') fake.nextFencePublicKey ??= newKey(fake.fencePublicKey);
  else if (fencePublicKey !== fake.nextFencePublicKey || fencePublicKey === undefined)
    throw new DomainError('CONFLICT', 'that key was not prepared');
  else {
    fake.fencePublicKey = fencePublicKey;
    fake.nextFencePublicKey = undefined;
  }
  const next = fake.nextFencePublicKey;
  return {
    fencePublicKey: fake.fencePublicKey,
    ...(next === undefined ? {} : { nextFencePublicKey: next }),
  };
}

/** Another key than this one, the same each time. */
function newKey(key: string): string {
  return `ssh-ed25519 ${Buffer.from(key.padEnd(51).slice(-51)).toString('base64')}`;
}

function factsOf({ cpuVirtualization, kvmDevice }: FakeAgent): object {
  return {
    hostname: 'h',
    pidNamespace: 'pid:[1]',
    libvirtVersion: '9.0.0',
    qemuVersion: '7.2.0',
    cpuModel: 'EPYC',
    cpuVirtualization,
    kvmDevice,
  };
}
