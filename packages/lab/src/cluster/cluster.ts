import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { apiRoutes, makeClient, type AddHostRequest, type Client } from '@fenceline/protocol';
import type { Lab } from '../client.js';
import { enterCommand, type HostHandle } from '../hostHandle.js';
import { LabError } from '../labError.js';
import { until } from '../limits.js';
import { packageRoot, projectRoot } from '../plan/paths.js';
import { agentProgram, apiBridgeProgram, cliProgram, serverProgram } from '../plan/programs.js';
import type { RunResult } from '../run.js';
import { ApiTransport } from './apiTransport.js';
import { Authority } from './authority.js';
import {
  agentYaml,
  cliYaml,
  inNode,
  labSettings,
  mergeSettings,
  put,
  putIdentity,
  serverYaml,
  type ServerSettings,
} from './configFiles.js';

const needed = [agentProgram, serverProgram, cliProgram, apiBridgeProgram];

export interface ClusterOptions {
  /** Added to, or instead of, the lab's settings of the server, section by section. */
  readonly settings?: ServerSettings;
  /** Program that runs as the server instead of ours; takes the same options. */
  readonly serverProgram?: string;
  /** Of the server's process. */
  readonly serverEnvironment?: Readonly<Record<string, string>>;
  /** Told what is being done, one sentence each. */
  readonly tell?: (sentence: string) => void;
}

/** Fenceline on the lab's hosts: an agent on each, a server on `mgr`, all as programs. */
export class FencelineCluster {
  #transport: ApiTransport | undefined;
  #api: Client<typeof apiRoutes> | undefined;

  private constructor(
    readonly lab: Lab,
    private readonly options: ClusterOptions,
  ) {}

  /** Agents and server run, on hosts that are up; no host is added yet. @throws LabError */
  static async start(lab: Lab, options: ClusterOptions = {}): Promise<FencelineCluster> {
    const missing = needed.find((program) => !existsSync(program));
    if (missing !== undefined)
      throw new LabError(`${missing} is not built. Build it: ${projectRoot}/scripts/build`);
    const cluster = new FencelineCluster(lab, options);
    await cluster.prepare();
    await cluster.startServer();
    return cluster;
  }

  /** The hosts of the lab, in order. */
  async hosts(): Promise<HostHandle[]> {
    const { nodes } = await this.lab.status();
    const names = nodes.map(({ name }) => name).filter((name) => /^h\d+$/.test(name));
    return names.toSorted().map((name) => this.lab.host(name));
  }

  /** The server's API as an administrator has it. @throws LabError before the server was started */
  get api(): Client<typeof apiRoutes> {
    if (this.#api === undefined) throw new LabError('The server has not been started.');
    return this.#api;
  }

  /** Runs `fenceline …` on `mgr`, whatever its exit code. */
  async cli(args: readonly string[], timeoutMs = 120_000): Promise<RunResult> {
    return this.lab.mgr.exec(['node', cliProgram, ...args], { timeoutMs });
  }

  /** How a host is added, with its outlet of the lab's power device if wished. */
  addRequest(host: HostHandle, { power }: { power: boolean }): AddHostRequest {
    const parameters = { plug: host.name, lab_dir: this.lab.paths.dir };
    const powerDevice = { agent: path.join(packageRoot, 'bin/fence_lab'), parameters };
    return {
      name: host.name,
      addresses: [host.address],
      agentPort: 7_070,
      sshPort: 22,
      sshUsername: 'root',
      ...(power ? { powerDevice } : {}),
    };
  }

  /** A fresh disk, and a VM on it, defined on each of these hosts and running nowhere. */
  async defineVm(name: string, hosts: readonly HostHandle[]): Promise<void> {
    const disk = await this.lab.createDisk(name);
    const input = await this.lab.domainXml({ name, disk: disk.path });
    // Standard input is a socket here, which can't be opened by name.
    const define = ['sh', '-c', 'cat | virsh define /dev/stdin'];
    await Promise.all(hosts.map((host) => host.mustExec(define, { input })));
  }

  /** Starts the server (again); resolves when it answers. */
  async startServer(): Promise<void> {
    const { mgr } = this.lab;
    const { serverProgram: other, serverEnvironment: env = {} } = this.options;
    const flags = ['--config', inNode.serverConfig, '--token-file', inNode.token];
    await mgr.startService('server', { command: ['node', other ?? serverProgram, ...flags], env });
    const token = mgr.pathOf(inNode.token);
    await until(() => existsSync(token), {
      limitMs: 30_000,
      what: `the server to start (see ${mgr.logOf('server')})`,
      everyMs: 20,
    });
    put(mgr, inNode.cliConfig, cliYaml(mgr.address, readFileSync(token, 'utf8').trim()));
    if (this.#transport === undefined) await this.openApi();
    await this.answers();
  }

  /** The lab stays as it is; only the way to the API ends. */
  close(): void {
    this.#transport?.close();
  }

  private async openApi(): Promise<void> {
    const { mgr, paths } = this.lab;
    const url = `https://${mgr.address}:8443`;
    const command = ['node', apiBridgeProgram, url, `${inNode.tls}/ca.pem`, inNode.token];
    this.#transport = ApiTransport.open(await enterCommand(paths, 'mgr', { command, cwd: '/' }));
    this.#api = makeClient(apiRoutes, this.#transport);
  }

  /** @throws LabError if the server does not answer within 20 s. */
  private async answers(): Promise<void> {
    const endMs = Date.now() + 20_000;
    for (;;) {
      const problem = await this.api.status({}, { deadlineMs: 5_000 }).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      if (problem === undefined) return;
      const log = this.lab.mgr.logOf('server');
      if (Date.now() > endMs)
        throw new LabError(`the server does not answer: ${problem} (its log: ${log})`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  private async prepare(): Promise<void> {
    const { lab, options } = this;
    const { mgr } = lab;
    const tell = options.tell ?? (() => undefined);
    tell('certificates: a CA of the lab, an identity for each program');
    const authority = await Authority.make(path.join(lab.paths.dir, 'ca'));
    const addresses = [mgr.address];
    const hosts = await this.hosts();
    const [server, api, ...agents] = await Promise.all([
      authority.issue({ role: 'server', name: 'mgr', addresses }),
      authority.issue({ role: 'api', name: 'mgr', addresses }),
      ...hosts.map((host) =>
        authority.issue({ role: 'sibling', name: host.name, addresses: [host.address] }),
      ),
    ]);
    putIdentity(mgr, 'server', server);
    putIdentity(mgr, 'api', api);
    const settings = mergeSettings(labSettings, options.settings ?? {});
    put(mgr, inNode.serverConfig, serverYaml(mgr.address, settings));
    tell(`an agent on ${hosts.map(({ name }) => name).join(', ')}, the server on mgr (SQLite)`);
    await Promise.all(
      hosts.map(async (host, i) => {
        const identity = agents[i];
        if (identity !== undefined) putIdentity(host, 'agent', identity);
        put(host, inNode.agentConfig, agentYaml(host.address));
        const command = ['node', agentProgram];
        await host.startService('agent', { command, restartMs: 500, boot: true });
      }),
    );
  }
}
