import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Lab } from '../client.js';
import type { HostHandle } from '../hostHandle.js';
import { LabError } from '../labError.js';
import { until } from '../limits.js';
import { packageRoot, projectRoot } from '../plan/paths.js';
import type { RunResult } from '../run.js';
import { Authority } from './authority.js';
import {
  agentYaml,
  cliYaml,
  inNode,
  labSettings,
  put,
  putIdentity,
  serverYaml,
  type ServerSettings,
} from './configFiles.js';

const programs = {
  agent: path.join(projectRoot, 'packages/agent/dist/main.js'),
  server: path.join(projectRoot, 'packages/management/dist/main.js'),
  cli: path.join(projectRoot, 'packages/cli/dist/main.js'),
} as const;

export interface ClusterOptions {
  /** Added to, or instead of, the lab's settings of the server, section by section. */
  readonly settings?: ServerSettings;
  /** Program that runs as the server instead of ours; takes the same options. */
  readonly serverProgram?: string;
  /** Hosts get a power device each, confirmed by off, read back, on. Default true. */
  readonly power?: boolean;
  /** Told what is being done, one sentence each. */
  readonly tell?: (sentence: string) => void;
}

export interface ClusterVm {
  readonly name: string;
  readonly uuid: string;
}

/** Fenceline on the lab's hosts: an agent on each, a server on `mgr`, all as programs. */
export class FencelineCluster {
  private constructor(
    readonly lab: Lab,
    private readonly options: ClusterOptions,
  ) {}

  /** Sets up, starts and connects everything on hosts that are up. @throws LabError */
  static async start(lab: Lab, options: ClusterOptions = {}): Promise<FencelineCluster> {
    const missing = Object.values(programs).find((program) => !existsSync(program));
    if (missing !== undefined)
      throw new LabError(`${missing} is not built. Build it: ${projectRoot}/scripts/build`);
    const cluster = new FencelineCluster(lab, options);
    await cluster.prepare();
    await cluster.startServer();
    await cluster.connectHosts();
    return cluster;
  }

  /** The hosts of the lab, in order. */
  async hosts(): Promise<HostHandle[]> {
    const { nodes } = await this.lab.status();
    const names = nodes.map(({ name }) => name).filter((name) => /^h\d+$/.test(name));
    return names.map((name) => this.lab.host(name));
  }

  /** Runs `fenceline …` on `mgr`, whatever its exit code. */
  async cli(args: readonly string[], timeoutMs = 120_000): Promise<RunResult> {
    return this.lab.mgr.exec(['node', programs.cli, ...args], { timeoutMs });
  }

  /** Runs `fenceline … --json`, which must succeed, and reads its output. */
  async ask(args: readonly string[], timeoutMs?: number): Promise<unknown> {
    const result = await this.cli([...args, '--json'], timeoutMs);
    if (result.code === 0) return JSON.parse(result.stdout) as unknown;
    const words = result.stderr.trim() || result.stdout.trim();
    throw new LabError(`fenceline ${args.join(' ')} ended with ${result.code}: ${words}`);
  }

  /** A disk, a definition on one host, imported, protected and seen running there. */
  async runVm(name: string, host: HostHandle): Promise<ClusterVm> {
    const disk = await this.lab.createDisk(name);
    const xml = await this.lab.domainXml({ name, disk: disk.path });
    // Standard input is a socket here, which can't be opened by name.
    await host.mustExec(['sh', '-c', 'cat | virsh define /dev/stdin'], { input: xml });
    const imported = (await this.ask(['vm', 'import', name, '--host', host.name])) as ClusterVm;
    await this.ask(['vm', 'protect', name, '--level', 'on-host-failure']);
    await this.ask(['vm', 'start', name, '--host', host.name, '--wait']);
    return { name, uuid: imported.uuid };
  }

  /** Starts the server (again); resolves when it answers. */
  async startServer(): Promise<void> {
    const { mgr } = this.lab;
    const program = this.options.serverProgram ?? programs.server;
    const command = ['node', program, '--config', inNode.serverConfig];
    const token = mgr.pathOf(inNode.token);
    await mgr.startService('server', { command: [...command, '--token-file', inNode.token] });
    await until(() => existsSync(token), {
      limitMs: 20_000,
      what: `the server to start (see ${mgr.logOf('server')})`,
      everyMs: 20,
    });
    put(mgr, inNode.cliConfig, cliYaml(mgr.address, readFileSync(token, 'utf8').trim()));
    await this.answers();
  }

  /** @throws LabError if the server does not answer within 20 s. */
  async answers(): Promise<void> {
    const endMs = Date.now() + 20_000;
    for (;;) {
      const result = await this.cli(['status', '--json']);
      if (result.code === 0) return;
      if (Date.now() > endMs)
        throw new LabError(
          `the server does not answer: ${result.stderr.trim()} ` +
            `(its log: ${this.lab.mgr.logOf('server')})`,
        );
    }
  }

  private tell(sentence: string): void {
    this.options.tell?.(sentence);
  }

  private async prepare(): Promise<void> {
    const { lab, options } = this;
    const { mgr } = lab;
    this.tell('making certificates: a CA of the lab, one identity per program');
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
    this.tell(`starting an agent on ${hosts.map(({ name }) => name).join(', ')}`);
    await Promise.all(
      hosts.map(async (host, i) => {
        const identity = agents[i];
        if (identity !== undefined) putIdentity(host, 'agent', identity);
        put(host, inNode.agentConfig, agentYaml(host.address));
        await host.startService('agent', {
          command: ['node', programs.agent],
          restartMs: 500,
          boot: true,
        });
      }),
    );
    this.tell(`starting the server on mgr (${mgr.address}:8443, SQLite)`);
  }

  private async connectHosts(): Promise<void> {
    const hosts = await this.hosts();
    const { power = true } = this.options;
    this.tell(`adding ${hosts.map(({ name }) => name).join(', ')}`);
    await Promise.all(
      hosts.map((host) =>
        this.ask([
          ...['host', 'add', host.address, '--name', host.name, '--wait'],
          ...(power ? this.powerFlags(host) : []),
        ]),
      ),
    );
    if (!power) return;
    this.tell('confirming that each power device switches its own host: off, read back, on');
    await Promise.all(hosts.map((host) => this.ask(['host', 'power-verify', host.name])));
    await this.allOnline();
  }

  private powerFlags(host: HostHandle): string[] {
    return [
      ...['--power-agent', path.join(packageRoot, 'bin/fence_lab')],
      ...['--power-parameter', `plug=${host.name}`],
      ...['--power-parameter', `lab_dir=${this.lab.paths.dir}`],
    ];
  }

  /** Resolves when every host is Connected and online. @throws LabError after 60 s. */
  async allOnline(): Promise<void> {
    const endMs = Date.now() + 60_000;
    for (;;) {
      const hosts = (await this.ask(['host', 'list'])) as {
        name: string;
        status: string;
        liveness: string;
      }[];
      const late = hosts.find((h) => h.status !== 'Connected' || h.liveness !== 'online');
      if (late === undefined) return;
      if (Date.now() > endMs)
        throw new LabError(`host ${late.name} stays ${late.status}, ${late.liveness}`);
    }
  }
}

/** Sections are merged, values replaced. */
function mergeSettings(base: ServerSettings, extra: ServerSettings): ServerSettings {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(extra)) {
    const old = merged[key];
    merged[key] = isSection(old) && isSection(value) ? mergeSettings(old, value) : value;
  }
  return merged;
}

function isSection(value: unknown): value is ServerSettings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
