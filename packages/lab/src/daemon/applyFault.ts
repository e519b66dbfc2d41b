import type { ChildProcess } from 'node:child_process';
import { LabError } from '../labError.js';
import { until } from '../limits.js';
import type { Fault, SshRule, StorageFault } from '../plan/faults.js';
import { unreachable } from '../unreachable.js';
import type { LabNode } from './labNode.js';
import { setSshRule, type Network } from './network.js';

/** Left to a host when its memory begins to run out: enough for what takes it to begin. */
const ROOM_BYTES = 8 * 1024 * 1024;

/** What a host suffers from, by what it concerns. All but loose cables are gone with the power. */
export class HostFaults {
  private readonly active = new Map<string, string>();
  /** Takes the host's memory. */
  private hog: ChildProcess | undefined;
  /** The life of the host that `active` is about. */
  private life: unknown;

  constructor(
    private readonly node: LabNode,
    private readonly network: Network,
  ) {}

  /** As `lab fault` would be told them. */
  list(): string[] {
    this.forgetFormerLife();
    const cut = this.network.cutNets(this.node.name);
    return [
      ...cut.map((net) => (net === 'management' ? 'mgmt-cut' : 'stor-cut')),
      ...this.active.values(),
    ];
  }

  /** When the host loses its power, what it suffered from is over. */
  private forgetFormerLife(): void {
    const life = this.node.current?.life;
    if (life !== this.life) this.active.clear();
    this.life = life;
  }

  async apply(fault: Fault): Promise<void> {
    this.forgetFormerLife();
    const { node, network } = this;
    switch (fault.kind) {
      case 'clear':
        return this.clear();
      case 'power':
        return fault.on ? node.boot(network) : node.powerOff();
      case 'net':
        if (fault.cut) {
          node.mustBeOn(); // a cable of a host that is off cannot be told from a cut one
          return network.cut(node.name, fault.net);
        }
        return network.restore(node.name, fault.net, node.current !== undefined);
      case 'ssh':
        return this.ssh(fault.mode);
      case 'freeze':
        return this.freeze(fault.frozen);
      case 'slow':
        node.mustBeOn();
        node.group.limitCpu(fault.percent);
        return this.note('cpu', fault.percent === undefined ? '' : `slow ${fault.percent}`);
      case 'pids':
        node.mustBeOn();
        node.group.limitPids(fault.room);
        return this.note('pids', fault.room === undefined ? '' : `pids ${fault.room}`);
      case 'memory':
        node.mustBeOn();
        return fault.full ? this.fillMemory() : this.freeMemory();
      case 'storage':
        return this.storage(fault.fault);
      case 'libvirtd':
        return this.service('libvirtd', fault.mode === 'off' ? 'kill' : fault.mode, 'libvirtd ');
      case 'service':
        return this.service(fault.name, fault.mode, `service ${fault.name} `);
      default:
        return unreachable(fault);
    }
  }

  private async clear(): Promise<void> {
    const { node, network } = this;
    await network.restore(node.name, 'management', node.current !== undefined);
    await network.restore(node.name, 'storage', node.current !== undefined);
    if (!node.current) return node.boot(network);
    if (this.active.has('freeze')) await this.freeze(false);
    if (this.active.has('cpu')) node.group.limitCpu(undefined);
    if (this.active.has('pids')) node.group.limitPids(undefined);
    if (this.active.has('memory')) await this.freeMemory();
    await this.storage({ mode: 'ok' });
    await this.ssh('ok');
    for (const service of await node.on.services.list()) {
      await this.release(service.name);
    }
    this.active.clear();
  }

  private async ssh(mode: SshRule | 'kill' | 'hang' | 'ok'): Promise<void> {
    const { life } = this.node.on;
    if (mode === 'kill' || mode === 'hang') {
      return this.service('sshd', mode === 'kill' ? 'kill' : 'stop', 'sshd-');
    }
    if (mode !== 'ok') {
      await setSshRule(life.init, mode);
      return this.note('ssh-rule', mode === 'mute' ? mode : `ssh-${mode}`);
    }
    await setSshRule(life.init, 'none');
    this.note('ssh-rule', '');
    return this.service('sshd', 'ok', '');
  }

  private async freeze(frozen: boolean): Promise<void> {
    const { group } = this.node;
    this.node.mustBeOn();
    this.note('freeze', frozen ? 'freeze' : '');
    if (frozen) await group.freeze();
    else group.thaw();
  }

  private async fillMemory(): Promise<void> {
    const { group } = this.node;
    if (this.active.has('memory')) return;
    group.limitMemory(ROOM_BYTES);
    this.note('memory', 'memory-full');
    this.hog = this.node.startHog();
    await until(() => group.isOutOfMemory, {
      limitMs: 20_000,
      what: 'the memory of the host to be used up',
      everyMs: 10,
    });
  }

  /** First the one who would take all that is freed. */
  private async freeMemory(): Promise<void> {
    const { hog } = this;
    this.hog = undefined;
    this.note('memory', '');
    if (hog?.exitCode === null && hog.signalCode === null) {
      const ended = new Promise((resolve) => hog.once('exit', resolve));
      hog.kill('SIGKILL');
      await ended;
    }
    this.node.group.limitMemory(undefined);
  }

  private async storage(fault: StorageFault): Promise<void> {
    const { storage } = this.node.on;
    if (!storage) throw new LabError(`${this.node.name} has no shared storage yet.`);
    await storage.set(fault);
    const words = fault.mode === 'slow' ? `slow ${fault.ms}` : fault.mode;
    this.note('storage', fault.mode === 'ok' ? '' : `storage ${words}`);
  }

  private async service(name: string, mode: 'kill' | 'stop' | 'ok', prefix: string): Promise<void> {
    const { services } = this.node.on;
    if (this.active.has('freeze')) {
      throw new LabError(`${this.node.name} is frozen: its pid 1 obeys only after a thaw.`);
    }
    if (mode === 'kill') await services.kill(name);
    else if (mode === 'stop') await services.signal(name, 'STOP');
    else await this.release(name);
    this.note(`service ${name}`, mode === 'ok' ? '' : `${prefix}${mode}`);
  }

  /** Lets a service run again; the host's own ones answer when this is done. */
  private async release(name: string): Promise<void> {
    const { life, services } = this.node.on;
    await services.release(name);
    if (name === 'sshd') await this.node.sshdAnswers(life);
    if (name === 'libvirtd') await this.node.libvirtdAnswers(life);
  }

  private note(about: string, words: string): void {
    if (words === '') this.active.delete(about);
    else this.active.set(about, words);
  }
}
