import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { NodeGroup, type CgroupLayout } from '../cgroups.js';
import { LabError } from '../labError.js';
import { until } from '../limits.js';
import type { Natives } from '../natives.js';
import { nodeEnvironment } from '../plan/environment.js';
import { mountSteps } from '../plan/mounts.js';
import { storagePort, type NodeName } from '../plan/names.js';
import { projectRoot, type LabPaths } from '../plan/paths.js';
import { run } from '../run.js';
import { Life } from './life.js';
import type { Network } from './network.js';
import { prepareNodeDir } from './nodeDir.js';
import { Services, type ServiceSpec } from './services.js';
import { StorageClient } from './sharedStorage.js';

/** What all nodes of one lab share. */
export interface LabParts {
  readonly paths: LabPaths;
  readonly natives: Natives;
  readonly cgroups: CgroupLayout;
  readonly locks: boolean;
}

/** What a node has while it is on. */
export interface Running {
  readonly life: Life;
  readonly services: Services;
  readonly storage?: StorageClient;
}

/** One machine of the lab: what it keeps, and how it is switched on and off. */
export class LabNode {
  readonly group: NodeGroup;
  /** Services that are started again at each boot. */
  readonly bootServices = new Map<string, ServiceSpec>();
  private running: Running | undefined;
  private booting: Promise<void> | undefined;
  /** The power was cut while it boots. */
  private cutShort = false;

  constructor(
    readonly name: NodeName,
    private readonly parts: LabParts,
    private readonly changed: () => void,
  ) {
    this.group = new NodeGroup(parts.cgroups, parts.paths.groupName, name);
  }

  get isHost(): boolean {
    return this.name !== 'sw' && this.name !== 'mgr';
  }

  /** What runs now; undefined while the power is off. */
  get current(): Running | undefined {
    return this.running;
  }

  /** @throws LabError if the power is off */
  get on(): Running {
    if (this.running) return this.running;
    throw new LabError(`${this.name} is off. Switch it on: lab power ${this.name} on`);
  }

  /** @throws LabError if the power is off */
  mustBeOn(): void {
    void this.on;
  }

  /**
   * Switches the node on and waits until its own services answer. Harmless if it is on already.
   * @throws LabError if that takes more than 30 s, or if it is switched off meanwhile.
   */
  async boot(network: Network | undefined): Promise<void> {
    this.booting ??= this.bootOnce(network).finally(() => (this.booting = undefined));
    await this.booting;
  }

  /**
   * The power cut; a boot that is under way fails. Resolves when nothing of the node runs any more;
   * harmless if it is off.
   */
  async powerOff(): Promise<void> {
    this.cutShort = true;
    const { booting } = this;
    await this.cut();
    if (!booting) return;
    await booting.catch(() => undefined);
    await this.cut();
  }

  private async cut(): Promise<void> {
    const { running } = this;
    if (!running) return;
    // First: what its storage client still holds can never reach the share then.
    running.storage?.kill();
    await running.life.end();
    await this.group.remove(); // with all limits that were set on it
    if (this.running === running) this.running = undefined;
    this.changed();
  }

  private async bootOnce(network: Network | undefined): Promise<void> {
    if (this.running) return;
    this.cutShort = false;
    const { paths, natives } = this.parts;
    if (this.name !== 'sw') await prepareNodeDir(paths, this.name);
    mkdirSync(path.dirname(paths.log(this.name, 'x')), { recursive: true });
    const life = await Life.begin({
      labnode: natives.labnode,
      name: this.name,
      group: this.group,
      env: nodeEnvironment(),
      steps: mountSteps({
        node: this.name,
        nodeDir: paths.node(this.name),
        cgroups: this.group.folders,
        needed: [projectRoot, paths.dir, natives.cacheDir, path.dirname(process.execPath)],
      }),
    });
    const services = new Services(life);
    this.running = { life, services };
    life.over.signal.addEventListener('abort', () => void this.noticeEnd(life));
    this.changed();
    try {
      if (this.cutShort) throw new LabError(`${this.name} was switched off while it booted.`);
      if (network) await network.connect(this.name, life.init);
      if (this.isHost) await this.startHost(life, services);
      if (this.name === 'sw') await services.start(this.own('storage-server', this.echo(), 100));
      for (const spec of this.bootServices.values()) await services.start(spec);
    } catch (error) {
      await this.cut();
      throw error;
    }
  }

  private async startHost(life: Life, services: Services): Promise<void> {
    const { paths, natives, locks } = this.parts;
    const storage = await StorageClient.mount({
      labfs: natives.labfs,
      host: life.init,
      share: paths.share,
      locks,
      log: paths.log(this.name, 'labfs'),
    });
    if (life.over.signal.aborted) storage.kill();
    life.over.signal.throwIfAborted();
    this.running = { life, services, storage };
    this.changed();
    await services.start(this.own('sshd', ['/usr/sbin/sshd', '-D', '-e'], 500));
    const libvirtd = ['/usr/sbin/libvirtd', '-p', '/run/libvirtd.pid'];
    await services.start(this.own('libvirtd', libvirtd, 500));
    await Promise.all([this.sshdAnswers(life), this.libvirtdAnswers(life)]);
  }

  /** Waits until the host's sshd listens. @throws LabError after 10 s. */
  async sshdAnswers({ init, over: { signal } }: Life): Promise<void> {
    await until(() => listensOn22(init.pid), { limitMs: 10_000, what: 'sshd', signal });
  }

  /** Waits until the host's libvirtd answers. @throws LabError after 20 s. */
  async libvirtdAnswers(life: Life): Promise<void> {
    const command = this.enterCommand(life, ['virsh', '-q', 'uri']);
    const answers = async () =>
      (await run(command, { timeoutMs: 5_000, env: nodeEnvironment() })).code === 0;
    const { signal } = life.over;
    await until(answers, { limitMs: 20_000, what: 'libvirtd', signal });
  }

  private own(name: string, command: readonly string[], restartMs: number): ServiceSpec {
    const log = this.parts.paths.log(this.name, name);
    return { name, command, restartMs, log, cwd: '/', env: {} };
  }

  private echo(): string[] {
    return [this.parts.natives.labecho, String(storagePort)];
  }

  /** The command line that runs another one inside this node, from the machine. */
  enterCommand(life: Life, command: readonly string[], dir = '/'): string[] {
    const { pid, start } = life.init;
    const groups = this.group.folders.flatMap((folder) => ['--cgroup', folder]);
    const where = ['--pid', String(pid), '--start', String(start), ...groups, '--dir', dir];
    return [this.parts.natives.labenter, ...where, '--', ...command];
  }

  /** Takes memory in this node, page by page, and never has enough; ends with the node. */
  startHog(): ChildProcess {
    const [enter = '', ...args] = this.enterCommand(this.on.life, [this.parts.natives.labhog]);
    const hog = spawn(enter, args, { stdio: 'ignore', env: nodeEnvironment() });
    hog.on('error', () => undefined);
    return hog;
  }

  /** Somebody killed pid 1 from outside: that is a power cut, too. */
  private async noticeEnd(life: Life): Promise<void> {
    await life.ended;
    if (this.running?.life !== life) return;
    this.running.storage?.kill();
    this.running = undefined;
    this.changed();
  }

  /** Takes away what outlives the power; its files stay. */
  remove(): Promise<void> {
    return this.group.remove();
  }
}

/** Is there a listener on port 22 in the network namespace of this process? */
function listensOn22(pid: number): boolean {
  try {
    return / 00000000:0016 \S+ 0A /.test(readFileSync(`/proc/${pid}/net/tcp`, 'latin1'));
  } catch {
    return false;
  }
}
