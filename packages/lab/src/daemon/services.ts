import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { until } from '../limits.js';
import type { Life } from './life.js';

export interface ServiceSpec {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Folder to run in, as the node sees it. */
  readonly cwd: string;
  /** Time from an end to the next start; absent: it is not started again. */
  readonly restartMs?: number;
  readonly log: string;
}

export interface ServiceStatus {
  readonly name: string;
  /** As the node counts; absent: it does not run. */
  readonly pid?: number;
  /** Killed by a fault: it is not started again before it is told to. */
  readonly held: boolean;
}

export type SignalName = 'KILL' | 'TERM' | 'STOP' | 'CONT';
const signalNumber: Record<SignalName, number> = { KILL: 9, TERM: 15, STOP: 19, CONT: 18 };

/** The services of one life of a node. Pid 1 of the node runs them; this tells it what to do. */
export class Services {
  constructor(private readonly life: Life) {}

  async start(spec: ServiceSpec): Promise<void> {
    mkdirSync(path.dirname(spec.log), { recursive: true });
    const env = Object.entries(spec.env).map(([key, value]) => `${key}=${value}`);
    const command = ['env', '-C', spec.cwd, ...env, ...spec.command];
    const words = [spec.name, String(spec.restartMs ?? -1), spec.log, ...command];
    await this.life.control.ask(['run', ...words.map(encodeWord)].join(' '));
  }

  /** To the service's whole process group. A killed one is started again after its restart time. */
  async signal(name: string, signal: SignalName): Promise<void> {
    await this.life.control.ask(`signal ${name} ${signalNumber[signal]}`);
  }

  /** SIGKILL, and no restarts until `release`. Resolves when it has ended. */
  async kill(name: string): Promise<void> {
    await this.life.control.ask(`hold ${name} ${signalNumber.KILL}`);
    await this.waitForEnd(name, 5_000);
  }

  /** SIGTERM, SIGKILL after `graceMs`; then it is forgotten. */
  async stop(name: string, graceMs: number): Promise<void> {
    await this.life.control.ask(`hold ${name} ${signalNumber.TERM}`);
    try {
      await this.waitForEnd(name, graceMs);
    } catch {
      await this.kill(name);
    }
    await this.life.control.ask(`drop ${name}`);
  }

  /** Undoes `kill` and a STOP: it runs, and is started again when it ends. */
  async release(name: string): Promise<void> {
    await this.signal(name, 'CONT');
    await this.life.control.ask(`free ${name}`);
  }

  async list(): Promise<ServiceStatus[]> {
    const lines = await this.life.control.ask('list');
    return lines.map((line) => {
      const [, name = '', pid, held] = line.split(' ');
      return { name, held: held === '1', ...(pid !== '0' && { pid: Number(pid) }) };
    });
  }

  private async waitForEnd(name: string, limitMs: number): Promise<void> {
    const ended = async () => (await this.list()).every((s) => s.name !== name || !s.pid);
    await until(ended, { limitMs, what: `service ${name} to end`, signal: this.life.over.signal });
  }
}

/** Words of a command line for pid 1: percent-encoded, so that none holds a blank or a line end. */
export function encodeWord(word: string): string {
  return word.replace(
    /[% \t\r\n]/g,
    (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
