import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
} from 'node:fs';
import path from 'node:path';
import { randomUUID } from 'node:crypto';
import { checkDisk, type DiskCheck } from './disk/checkDisk.js';
import { readImage } from './disk/readImage.js';
import { HostHandle, NodeHandle, type LabLink } from './hostHandle.js';
import { LabError } from './labError.js';
import { until } from './limits.js';
import { buildNatives } from './natives.js';
import { domainXml, type DomainOptions } from './plan/domainXml.js';
import { hostName, hostNames, plainName, type NodeName } from './plan/names.js';
import { labPaths, packageRoot, projectRoot, sharedStorage, type LabPaths } from './plan/paths.js';
import { identify } from './processes.js';
import { removeTree } from './removeTree.js';
import { missingPackages } from './requirements.js';
import type { LabRequest, LabStatus, NodeStatus, PowerDeviceMode } from './requests.js';
import { callRpc } from './rpc.js';
import {
  cleanUpLeftovers,
  daemonOf,
  runningLab,
  servedAlready,
  waitForEnd,
  waitUntilClear,
} from './stateFile.js';

export interface LabOptions {
  /** Default: $FENCELINE_LAB_DIR, or /tmp/fenceline-lab. */
  readonly dir?: string;
  /**
   * True: the lab ends when this process has ended, even by SIGKILL. False (default): it stays up.
   * Counts for the `up` that starts the lab.
   */
  readonly endsWithMe?: boolean;
  /** The same for another process. */
  readonly endsWithPid?: number;
  /** Image locks that hold for the whole cluster. Default: $LAB_LOCKS=1. */
  readonly locks?: boolean;
}

/** The lab's power device as a fence agent: `plug=h1`, `lab_dir=…` on standard input. */
export const fenceAgentProgram = path.join(packageRoot, 'bin/fence_lab');

/** A disk of the lab's guest. */
export interface LabDisk {
  readonly name: string;
  /** As a host sees it. */
  readonly path: string;
}

/** One lab, up or not. Several may exist side by side, each in its own directory. */
export class Lab implements LabLink {
  private constructor(
    readonly paths: LabPaths,
    private readonly options: LabOptions,
  ) {}

  /** Touches nothing yet. @throws LabError for an unusable directory. */
  static open(options: LabOptions = {}): Lab {
    return new Lab(labPaths(options.dir), options);
  }

  get isUp(): boolean {
    return runningLab(this.paths) !== undefined;
  }

  /**
   * Makes sure that hosts h1 … hN, `mgr` and `sw` exist and are on; hosts beyond N stay as they are.
   * Cleans up first what a crashed run has left.
   * @throws LabError saying what is missing or wrong; then nothing that this call started is left.
   */
  async up(hosts = 3): Promise<HostHandle[]> {
    if (process.getuid?.() !== 0) throw new LabError('The lab needs root.');
    const missing = missingPackages().map((m) => m.package);
    if (missing.length > 0) {
      throw new LabError(`The lab needs more: apt-get install ${missing.join(' ')}`);
    }
    if (!this.isUp) {
      await this.settled();
      if (!this.isUp) await this.startDaemon();
    }
    await this.ask({ do: 'up', hosts }, 90_000);
    return hostNames(hosts).map((name) => this.host(name));
  }

  /** Ends the lab; its files stay. Harmless if it is not up. Also cleans up after a crash. */
  async down(): Promise<void> {
    await this.settled();
    const daemon = daemonOf(this.paths);
    if (this.isUp) await this.ask({ do: 'down' }, 30_000);
    if (daemon) await waitForEnd(daemon);
    if (existsSync(this.paths.dir)) await cleanUpLeftovers(this.paths);
  }

  /** `down`, and removes the lab directory with all disks and logs. */
  async purge(): Promise<void> {
    await this.down();
    await removeTree(this.paths.dir);
  }

  async status(): Promise<LabStatus> {
    return (await this.ask({ do: 'status' })) as LabStatus;
  }

  /** `h1` …; the host need not exist yet. */
  host(name: string): HostHandle {
    return new HostHandle(hostName(name), this);
  }

  /** Where the management server runs. */
  get mgr(): NodeHandle {
    return new NodeHandle('mgr', this);
  }

  node(name: NodeName): NodeHandle {
    return name === 'mgr' || name === 'sw' ? new NodeHandle(name, this) : this.host(name);
  }

  /** Makes the power device play dead, lie, answer late, or work. */
  async powerDevice(mode: PowerDeviceMode): Promise<void> {
    await this.ask({ do: 'powerDevice', mode });
  }

  /** A fresh disk with the guest on it, 1 MiB, raw. @throws LabError if it exists. */
  async createDisk(name: string): Promise<LabDisk> {
    const file = this.paths.disk(plainName(name, 'disk'));
    if (existsSync(file)) throw new LabError(`The disk ${name} exists already.`);
    mkdirSync(this.paths.share, { recursive: true });
    const { bootSector } = await buildNatives();
    copyFileSync(bootSector, file);
    truncateSync(file, 1 << 20);
    return { name, path: `${sharedStorage}/${name}.img` };
  }

  /** The libvirt domain of the lab's guest, with this lab's acceleration. */
  async domainXml(options: Omit<DomainOptions, 'uuid'> & { uuid?: string }): Promise<string> {
    const template = readFileSync(path.join(packageRoot, 'guest/domain.xml'), 'utf8');
    const { acceleration } = await this.status();
    return domainXml(template, { acceleration, ...options, uuid: options.uuid ?? randomUUID() });
  }

  /** How many guests wrote to a disk (its name, or the path of an image) at the same time. */
  check(disk: string): DiskCheck {
    return checkDisk(this.imageOf(disk));
  }

  /** The bytes of a disk at one moment. */
  imageOf(disk: string): Buffer {
    const file = disk.includes('/') ? disk : this.paths.disk(disk);
    return readImage(file.startsWith(`${sharedStorage}/`) ? this.onShare(file) : file);
  }

  async nodeStatus(name: NodeName): Promise<NodeStatus> {
    const found = (await this.status()).nodes.find((node) => node.name === name);
    if (found) return found;
    throw new LabError(`There is no ${name} in this lab.`);
  }

  /** Asks the lab's daemon. Default limit 40 s: a boot may take its time. */
  async ask(request: LabRequest, timeoutMs = 40_000): Promise<unknown> {
    if (!this.isUp)
      throw new LabError(`No lab runs in ${this.paths.dir}. Start it: scripts/lab up`);
    return callRpc(this.paths.daemonSocket, request, timeoutMs);
  }

  /** Whose end is the lab's end: always (`with`), or only while it starts (`keep`). */
  private bond(): string[] {
    const { endsWithMe = false, endsWithPid } = this.options;
    const pid = endsWithPid ?? process.pid;
    const id = identify(pid);
    if (!id) throw new LabError(`There is no process ${pid} that the lab could end with.`);
    const kept = !endsWithMe && endsWithPid === undefined;
    return [kept ? 'keep' : 'with', String(id.pid), String(id.start)];
  }

  private async answers(): Promise<boolean> {
    return this.ask({ do: 'ping' }, 1_000).then(
      () => true,
      () => false,
    );
  }

  private logSince(bytes: number): string {
    const log = this.paths.daemonLog;
    return existsSync(log) ? readFileSync(log).subarray(bytes).toString().trim() : '';
  }

  private onShare(file: string): string {
    return path.join(this.paths.share, path.relative(sharedStorage, file));
  }

  private async startDaemon(): Promise<void> {
    const program = path.join(packageRoot, 'dist/daemon/main.js');
    if (!existsSync(program)) {
      throw new LabError(`The lab is not built. Build it: ${projectRoot}/scripts/build`);
    }
    mkdirSync(this.paths.dir, { recursive: true, mode: 0o755 });
    const { locks = process.env['LAB_LOCKS'] === '1' } = this.options;
    const log = openSync(this.paths.daemonLog, 'a', 0o600);
    const daemon = spawn(
      process.execPath,
      [program, this.paths.dir, locks ? 'locks' : 'nolocks', ...this.bond()],
      { detached: true, stdio: ['ignore', log, log], cwd: '/' },
    );
    const logged = fstatSync(log).size;
    closeSync(log);
    daemon.unref();
    await this.untilItAnswers(abortedAtExit(daemon, () => this.logSince(logged)));
  }

  /** Resolves when a daemon that starts answers, and one that ends is gone. @throws LabError */
  private async settled(): Promise<void> {
    await waitUntilClear(this.paths);
    // Its state is there before its sockets are.
    if (this.isUp) await this.untilItAnswers();
  }

  private async untilItAnswers(signal?: AbortSignal): Promise<void> {
    await until(() => this.answers(), {
      limitMs: 30_000,
      what: `the lab's daemon to start (see ${this.paths.daemonLog})`,
      everyMs: 10,
      ...(signal ? { signal } : {}),
    });
  }
}

/** Fires with the daemon's own words if it fails. Another one that was faster will do as well. */
function abortedAtExit(daemon: ReturnType<typeof spawn>, words: () => string): AbortSignal {
  const ended = new AbortController();
  const tell = (why: string) => ended.abort(new LabError(`The lab did not start: ${why}`));
  daemon.once('exit', (code) => code !== servedAlready && tell(words() || `exit code ${code}`));
  daemon.once('error', (error) => tell(error.message));
  return ended.signal;
}
