import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { axiosTransport, Secret, type HttpServer, type TlsFiles } from '@fenceline/common';
import { makeTestCa } from '@fenceline/common/testing';
import { apiRoutes, makeClient, type Client, type TaskView } from '@fenceline/protocol';
import { Chronicle, tell } from './chronicle.js';
import { serveAgent, type FakeSite } from './fakeAgent.js';
import { FakeHost, VM_NAME } from './fakeHost.js';
import { brokenPromises, readLedger, type Ending } from './observer.js';
import { ServerProcess } from './serverProcess.js';

/** What happens to the VM's host and on the way, and how it has to end. */
export interface Story {
  ending: Ending;
  /** Sets up what goes wrong besides the host. */
  prepare?: (site: FakeSite) => void;
  /** The server is killed when it has just sent this and waits for the answer. */
  killedAfterSending?: 'fence' | 'start';
}

export interface Played {
  /** Every step that was recorded, in order, by all lives of the server. */
  steps: readonly string[];
  /** Lives of the server: 2 if it was killed. */
  lives: number;
  broken: readonly string[];
  /** What happened, for people. */
  chronicle: readonly string[];
}

const CALL = { deadlineMs: 10_000 };
const ca = makeTestCa();
let cases = 0;
const nothing = async (): Promise<void> => undefined;

/** A loopback network for each case: no two of them can meet. */
function newNet(): string {
  cases += 1;
  return `127.${64 + (process.pid % 128)}.${cases % 256}`;
}

/** Three hosts, the VM on the first one; that one's agent dies, its qemu lives on. */
export async function play(story: Story, crashAt: readonly string[]): Promise<Played> {
  const dir = mkdtempSync(path.join(tmpdir(), 'fenceline-crash-'));
  const net = newNet();
  const chronicle = new Chronicle();
  const hosts = [1, 2, 3].map((n) => new FakeHost(`h${n}`, `${net}.${10 + n}`, chronicle));
  const agents = new Map<FakeHost, HttpServer>();
  const site: FakeSite = { hosts, startFate: 'arrives', onFence: nothing, onStart: nothing };
  hosts[0]?.runs(1);
  const server = new ServerProcess({ dir, config: configOf(dir, `${net}.1`), crashAt });
  try {
    for (const host of hosts) agents.set(host, await serveAgent(site, host, agentTls(host)));
    const api = await apiOf(server, `${net}.1`);
    await protectedVm(server, api, agents);
    story.prepare?.(site);
    if (story.killedAfterSending !== undefined) killAt(story.killedAfterSending, site, server);
    await hurt(hosts[0], agents);
    await ended(story, {
      server,
      api,
      dies: crashAt.length > 0 || story.killedAfterSending !== undefined,
    });
    await server.stop();
    const ledger = readLedger(path.join(dir, 'state', 'fenceline.db'));
    const hostName = (uuid: string): string =>
      hosts.find(({ hostUuid }) => hostUuid === uuid)?.name ?? uuid;
    const { entries } = chronicle;
    const broken = brokenPromises({ entries, ledger, hostName, ending: story.ending });
    return { steps: server.steps, lives: server.lives, broken, chronicle: tell(entries) };
  } catch (error) {
    const happened = tell(chronicle.entries).join('\n');
    throw new Error(`${error instanceof Error ? error.message : ''}\n${happened}`, {
      cause: error,
    });
  } finally {
    await server.stop();
    await Promise.all([...agents.values()].map((agent) => agent.stop()));
    await rm(dir, { recursive: true });
  }
}

function agentTls({ name, address }: FakeHost): TlsFiles {
  return ca.issue({ name, role: 'sibling', hosts: [address] });
}

function configOf(dir: string, address: string): object {
  const put = (name: string, tls: TlsFiles): Record<keyof TlsFiles, string> => {
    const at = (part: string): string => path.join(dir, `${name}.${part}`);
    for (const part of ['ca', 'cert', 'key'] as const)
      writeFileSync(at(part), tls[part], { mode: 0o600 });
    return { ca: at('ca'), cert: at('cert'), key: at('key') };
  };
  return {
    server: { address, port: 8_443 },
    stateDir: path.join(dir, 'state'),
    tls: {
      api: put('api', ca.issue({ name: 'api', hosts: [address] })),
      agents: put('agents', ca.issue({ name: 'server', role: 'server', hosts: [address] })),
    },
    log: { level: 'warn' },
    ha: {
      agentDown: { withoutHeartbeat: 'fence' },
      preFence: { sshTimeoutSec: 5 },
      restart: { backoffMin: [0, 0.005], startTimeoutMs: 5_000 },
    },
    host: { reconnect: { backoffSec: [0.3] }, reserveMemoryMiB: 0 },
  };
}

type Api = Client<typeof apiRoutes>;

async function apiOf(server: ServerProcess, address: string): Promise<Api> {
  const token = new Secret(await server.adminToken());
  const baseUrl = `https://${address}:8443`;
  return makeClient(apiRoutes, axiosTransport({ baseUrl, tls: { ca: ca.ca }, token }));
}

async function protectedVm(
  server: ServerProcess,
  api: Api,
  agents: ReadonlyMap<FakeHost, HttpServer>,
): Promise<void> {
  for (const [{ name, address }, { port: agentPort }] of agents) {
    const reach = { agentPort, sshPort: 22, sshUsername: 'root' };
    await api.addHost({ name, addresses: [address], ...reach }, CALL);
  }
  await server.until('every host is online, and the VM is known', async () => {
    const [hosts, vms] = [await api.listHosts({}, CALL), await api.listVms({}, CALL)];
    const online = hosts.items.every((one) => one.status === 'Connected' && one.cpus !== null);
    return online && vms.items[0]?.state === 'Running';
  });
  await api.protectVm({ vm: VM_NAME, level: 'onHostFailure' }, CALL);
}

/** Once: the command has come in, nothing is done yet. */
function killAt(sent: 'fence' | 'start', site: FakeSite, server: ServerProcess): void {
  const hook = sent === 'fence' ? 'onFence' : 'onStart';
  site[hook] = async () => {
    if (server.lives === 1) server.kill();
  };
}

/** Its agent is gone: connections are refused; its qemu lives on. */
async function hurt(host: FakeHost | undefined, agents: Map<FakeHost, HttpServer>): Promise<void> {
  if (host === undefined) return;
  host.agentUp = false;
  await agents.get(host)?.stop();
}

interface Watching {
  server: ServerProcess;
  api: Api;
  /** The server is to be killed on the way. */
  dies: boolean;
}

/** The story is over: also the server's second life is through with it. */
async function ended({ ending }: Story, { server, api, dies }: Watching): Promise<void> {
  let task: TaskView | undefined;
  await server.until(`the task ends (${ending})`, async () => {
    if (dies && server.lives < 2) return false;
    // A dead server does not answer, and one that has just started may not yet.
    const page = await api.listTasks({ vm: VM_NAME }, CALL).catch(() => ({ items: [] }));
    task = page.items[0];
    if (task === undefined) return false;
    const refused = task.state === 'refused' && task.waitsFor?.includes('not proven over') === true;
    return ending === 'running' ? task.endedAt !== null : refused;
  });
  // Longer than the server's looks for due tasks: what it would do besides shows itself now.
  await sleep(700);
}
