import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Lab, type HostHandle, type NodeHandle } from '@fenceline/lab';
import { fillPath, parseBody, type Route } from '@fenceline/protocol';
import { makeLabPki, type Identity } from './labPki.js';

const AGENT = fileURLToPath(new URL('../../../agent/dist/main.js', import.meta.url));

/** What a call came to: the route's response, or status and error code. */
export type Called<Rsp> =
  { ok: true; rsp: Rsp } | { ok: false; status: number; code: string; facts: object };

/** One host of the lab with its agent. */
export interface AgentHost {
  readonly host: HostHandle;
  readonly hostUuid: string;
  readonly config: string;
  bootId: string;
}

export interface AgentLabOptions {
  count: number;
  locks?: boolean;
  /** Sections of each agent's configuration. */
  settings?: object;
}

/** A lab whose hosts run agents; the test speaks as the server, from the management node. */
export class AgentLab {
  readonly hosts: AgentHost[] = [];
  readonly #server: Identity;

  private constructor(
    readonly lab: Lab,
    readonly dir: string,
    private readonly settings: object,
  ) {
    const pki = makeLabPki(path.join(dir, 'pki'));
    this.#server = pki.issue({ name: 'server', role: 'server', address: lab.mgr.address });
    this.issue = (name, address) => pki.issue({ name, role: 'sibling', address });
  }

  private readonly issue: (name: string, address: string) => Identity;

  /** Brings up `count` hosts and an agent on each; not connected yet. */
  static async up(dir: string, options: AgentLabOptions): Promise<AgentLab> {
    const { count, locks = false, settings = {} } = options;
    const lab = Lab.open({ dir, endsWithMe: true, locks });
    await lab.purge();
    const handles = await lab.up(count);
    const made = new AgentLab(lab, dir, settings);
    for (const [i, host] of handles.entries()) made.hosts.push(await made.#start(host, i + 1));
    return made;
  }

  async #start(host: HostHandle, number: number): Promise<AgentHost> {
    const tls = this.issue(host.name, host.address);
    const config = path.join(this.dir, `${host.name}.yaml`);
    writeFileSync(
      config,
      JSON.stringify({ tls, host: { addresses: [host.address] }, ...this.settings }),
    );
    await host.startService('agent', {
      command: ['node', AGENT, '--config', config],
      restartMs: 200,
      boot: true,
    });
    const { bootId = '' } = await host.status();
    const hostUuid = `0a000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
    const agent = { host, hostUuid, config, bootId };
    await this.answers(agent);
    return agent;
  }

  /** Waits until the agent of a host answers. */
  async answers({ host }: AgentHost): Promise<void> {
    await eventually(`the agent of ${host.name} answers`, async () => {
      const { status } = await this.raw(host, { method: 'POST', path: '/host/ping', fields: {} });
      return status === 200;
    });
  }

  /** Calls a route as the server does. */
  async call<Req extends object, Rsp extends object>(
    { host }: AgentHost,
    route: Route<Req, Rsp>,
    fields: Partial<Req>,
  ): Promise<Called<Rsp>> {
    const filled = fillPath(route.path, fields);
    const raw = await this.raw(host, {
      method: route.method,
      path: filled.path,
      fields: filled.rest,
    });
    if (raw.status === 200) return { ok: true, rsp: parseBody(route.response, raw.body) };
    const { error } = raw.body as { error?: { code: string; facts: object } };
    return { ok: false, status: raw.status, code: error?.code ?? '', facts: error?.facts ?? {} };
  }

  /** The response of a call that must succeed. */
  async must<Req extends object, Rsp extends object>(
    agent: AgentHost,
    route: Route<Req, Rsp>,
    fields: Partial<Req>,
  ): Promise<Rsp> {
    const called = await this.call(agent, route, fields);
    if (!called.ok) throw new Error(`${route.path}: ${JSON.stringify(called)}`);
    return called.rsp;
  }

  /** Lines of the watch stream within this time, as JSON. */
  async watch({ host }: AgentHost, forMs: number): Promise<unknown[]> {
    const body = { ...this.#request(host, '/host/watch', 'GET'), forMs };
    const out = await inNode(this.lab.mgr, STREAM, body);
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as unknown);
  }

  async raw(
    host: HostHandle,
    request: { method: string; path: string; fields: object },
  ): Promise<{ status: number; body: unknown }> {
    const body = {
      ...this.#request(host, request.path, request.method),
      fields: request.fields,
    };
    return JSON.parse(await inNode(this.lab.mgr, CALL, body)) as { status: number; body: unknown };
  }

  /** Many calls at once, as the server makes them; each with the milliseconds that it took. */
  async rawAll(
    requests: readonly { host: HostHandle; path: string; fields: object }[],
  ): Promise<{ status: number; body: unknown; ms: number }[]> {
    const all = requests.map(({ host, path, fields }) => ({
      ...this.#request(host, path, 'POST'),
      fields,
    }));
    return JSON.parse(await inNode(this.lab.mgr, CALLS, all)) as Awaited<
      ReturnType<AgentLab['rawAll']>
    >;
  }

  #request(host: HostHandle, where: string, method: string): object {
    return { url: `https://${host.address}:7070${where}`, method, tls: this.#server };
  }
}

const HEAD = `
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
const asked = JSON.parse(readFileSync(0, 'utf8'));
const tls = Object.fromEntries(Object.entries(asked.tls).map(([k, f]) => [k, readFileSync(f)]));
`;
const CALL = `${HEAD}
const sent = request(asked.url, { method: asked.method, ...tls, timeout: 60000,
  headers: { 'content-type': 'application/json' } }, (got) => {
  let text = '';
  got.on('data', (part) => (text += part)).on('end', () =>
    console.log(JSON.stringify({ status: got.statusCode, body: JSON.parse(text || '{}') })));
});
sent.on('error', (error) => console.log(JSON.stringify({ status: 0, body: { error: String(error) } })));
sent.end(asked.method === 'GET' ? undefined : JSON.stringify(asked.fields));
`;
const CALLS = `
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
const all = JSON.parse(readFileSync(0, 'utf8'));
const read = (tls) => Object.fromEntries(Object.entries(tls).map(([k, f]) => [k, readFileSync(f)]));
const agent = new Agent({ ...read(all[0].tls), keepAlive: true, maxSockets: 64 });
const call = (asked) => new Promise((done) => {
  const begun = performance.now();
  const end = (status, body) => done({ status, body, ms: Math.round(performance.now() - begun) });
  const sent = request(asked.url, { method: asked.method, agent, timeout: 60000,
    headers: { 'content-type': 'application/json' } }, (got) => {
    let text = '';
    got.on('data', (part) => (text += part)).on('end', () => end(got.statusCode, JSON.parse(text || '{}')));
  });
  sent.on('error', (error) => end(0, { error: String(error) }));
  sent.end(JSON.stringify(asked.fields));
});
console.log(JSON.stringify(await Promise.all(all.map(call))));
agent.destroy();
`;
const STREAM = `${HEAD}
request(asked.url, tls, (got) => got.pipe(process.stdout)).end();
setTimeout(() => process.exit(0), asked.forMs);
`;

async function inNode(node: NodeHandle, program: string, input: object): Promise<string> {
  return node.mustExec(['node', '--input-type=module', '--eval', program], {
    input: JSON.stringify(input),
    timeoutMs: 90_000,
  });
}

/** Asks until it is true. @throws Error that names what did not happen within 15 s. */
export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + 15_000;
  for (;;) {
    if (await holds()) return;
    if (performance.now() > until) throw new Error(`did not happen within 15 s: ${what}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
  }
}
