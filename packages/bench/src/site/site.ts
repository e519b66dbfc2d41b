import { randomBytes } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Authority, Lab, type HostHandle } from '@fenceline/lab';
import { agentRoutes, parseBody, requestOf, type Route } from '@fenceline/protocol';
import { Helper } from '../helper/client.js';
import type { Done, TlsFilePaths } from '../helper/jobs.js';
import { putAgentFiles, putServerFiles } from './files.js';

const AGENT = fileURLToPath(new URL('../../../agent/dist/main.js', import.meta.url));
const AGENT_PORT = 7_070;
const UP_LIMIT_MS = 20_000;

/** One host of the lab with its agent, connected. */
export interface BenchHost {
  readonly host: HostHandle;
  readonly hostUuid: string;
  readonly bootId: string;
  /** Of its sshd, `type base64`. */
  readonly hostKey: string;
  readonly helper: Helper;
}

/** A call of an agent, as it was measured. */
export interface Timed<Rsp> {
  readonly ms: number;
  readonly rsp: Rsp;
}

/** A lab of three hosts with agents, which this program calls as the server would. */
export class BenchSite {
  private constructor(
    readonly lab: Lab,
    private readonly tls: TlsFilePaths,
    private readonly mgr: Helper,
  ) {}

  readonly hosts: BenchHost[] = [];

  /** Brings everything up; `down` takes it away. @throws LabError, Error with nothing left behind. */
  static async up(tell: (sentence: string) => void): Promise<BenchSite> {
    const dir = process.env['FENCELINE_LAB_DIR'] ?? mkdtempSync(path.join(tmpdir(), 'fl-bench-'));
    const lab = Lab.open({ dir, endsWithMe: true });
    try {
      tell('three hosts');
      const handles = await lab.up(3);
      const authority = await Authority.make(path.join(lab.paths.dir, 'ca'));
      const tls = await putServerFiles(lab.mgr, authority);
      const site = new BenchSite(lab, tls, await Helper.open(lab, 'mgr'));
      tell('an agent on each, connected');
      for (const [i, host] of handles.entries()) await site.#startAgent({ host, i, authority });
      await site.#connect();
      return site;
    } catch (error) {
      await lab.purge();
      throw error;
    }
  }

  async down(): Promise<void> {
    for (const { helper } of this.hosts) helper.close();
    this.mgr.close();
    await this.lab.purge();
  }

  /** Host `hN`. @throws Error if there is none. */
  at(number: number): BenchHost {
    const found = this.hosts[number - 1];
    if (found === undefined) throw new Error(`there is no host h${number}`);
    return found;
  }

  /**
   * Calls a route of a host's agent from the management node, with mutual TLS.
   * @throws Error if it is refused.
   */
  async call<Req extends object, Rsp extends object>(
    { host }: Pick<BenchHost, 'host'>,
    call: { route: Route<Req, Rsp>; command: Partial<Req>; connection?: 'standing' | 'new' },
  ): Promise<Timed<Rsp>> {
    const { route, command, connection = 'standing' } = call;
    const asked = requestOf(route, Object.assign(new route.request(), command));
    const baseUrl = `https://${host.address}:${AGENT_PORT}`;
    const done = await this.mgr.do({ do: 'call', baseUrl, tls: this.tls, connection, ...asked });
    if (done.status !== 200) throw new Error(`${route.path}: ${refusal(done)}`);
    return { ms: done.ms, rsp: parseBody(route.response, done.body) };
  }

  /** A token for one order on this host, as the server deposits it while the host is healthy. */
  async newToken(one: BenchHost): Promise<string> {
    const token = randomBytes(16).toString('hex');
    const command = { tokens: [token], replace: true };
    await this.call(one, { route: agentRoutes.orderTokens, command });
    return token;
  }

  /**
   * `from` keeps a fence line to `to`. False: the fence program there can't wait for orders.
   * @throws Error if it does not stand in time.
   */
  async layLine(from: BenchHost, to: BenchHost): Promise<boolean> {
    const { hostUuid, hostKey, host } = to;
    const neighbours = [
      { hostUuid, addresses: [host.address], sshPort: 22, username: 'root', hostKeys: [hostKey] },
    ];
    const until = performance.now() + UP_LIMIT_MS;
    for (;;) {
      const asked = { route: agentRoutes.fenceLines, command: { neighbours } };
      const [line] = (await this.call(from, asked)).rsp.lines;
      if (line?.state === 'standing') return true;
      if (line?.state === 'unsupported') return false;
      if (performance.now() > until)
        throw new Error(`no fence line to ${host.name}: ${line?.state} ${line?.why ?? ''}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async #startAgent(start: { host: HostHandle; i: number; authority: Authority }): Promise<void> {
    const { host, i, authority } = start;
    await putAgentFiles(host, authority);
    await host.startService('agent', { command: ['node', AGENT], restartMs: 500 });
    const until = performance.now() + UP_LIMIT_MS;
    while (!(await this.#answers(host)))
      if (performance.now() > until) throw new Error(`the agent of ${host.name} does not answer`);
    const { rsp } = await this.call({ host }, { route: agentRoutes.ping, command: {} });
    this.hosts.push({
      host,
      hostUuid: `0b000000-0000-4000-8000-${String(i + 1).padStart(12, '0')}`,
      bootId: rsp.bootId,
      hostKey: await host.sshHostKey(),
      helper: await Helper.open(this.lab, host.name),
    });
  }

  async #answers(host: HostHandle): Promise<boolean> {
    const asked = this.call({ host }, { route: agentRoutes.ping, command: {} });
    return asked.then(
      () => true,
      () => new Promise((resolve) => setTimeout(() => resolve(false), 100)),
    );
  }

  /** As the server connects hosts: first each tells its key, then it learns its siblings'. */
  async #connect(): Promise<void> {
    const keys = new Map<BenchHost, string>();
    for (const one of this.hosts)
      keys.set(one, (await this.#connectOne(one, [])).rsp.fencePublicKey);
    for (const one of this.hosts) {
      const others = this.hosts.filter((other) => other !== one);
      const siblings = others.map((other) => ({
        hostUuid: other.hostUuid,
        addresses: [other.host.address],
        fencePublicKey: keys.get(other) ?? '',
      }));
      await this.#connectOne(one, siblings);
    }
  }

  #connectOne(
    one: BenchHost,
    siblings: { hostUuid: string; addresses: string[]; fencePublicKey: string }[],
  ) {
    const { hostUuid } = one;
    const server = { serverUuid: hostUuid, serverVersion: '0', orderTokens: true };
    const command = { hostUuid, ...server, siblings, runs: [] };
    return this.call(one, { route: agentRoutes.connect, command });
  }
}

function refusal({ status, body }: Done): string {
  const { error } = (body ?? {}) as { error?: { code?: string; message?: string } };
  return `${status} ${error?.code ?? ''} ${error?.message ?? ''}`.trim();
}
