import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const SERVER_PROGRAM = path.resolve(
  import.meta.dirname,
  '../../dist/crash/crashingServer.js',
);

/** Each look may cost the server a TLS handshake. */
const LOOK_EVERY_MS = 200;

export interface ServerFiles {
  /** A folder of its own. */
  dir: string;
  /** The server's configuration, as nested settings. */
  config: object;
  /** Steps that must come, one after another, before it is killed; empty: it is not. */
  crashAt: readonly string[];
}

/** The server as a child process; killed, it is started again at once, as a service manager does. */
export class ServerProcess {
  #child: ChildProcess | undefined;
  #said = '';
  #stopping = false;
  /** An end that nobody asked for and that is no SIGKILL. */
  #defect: string | undefined;
  #lives = 0;

  constructor(private readonly files: ServerFiles) {
    writeFileSync(this.#file('server.yaml'), JSON.stringify(files.config), { mode: 0o600 });
    writeFileSync(this.#file('steps'), '');
    this.#live();
  }

  /** How often it was started. */
  get lives(): number {
    return this.#lives;
  }

  /** The steps that were recorded, by all its lives. */
  get steps(): string[] {
    return readFileSync(this.#file('steps'), 'utf8').split('\n').slice(0, -1);
  }

  /** @throws Error if it never made one within 30 s. */
  async adminToken(): Promise<string> {
    await this.until('the server has its admin token', () => existsSync(this.#file('token')));
    return readFileSync(this.#file('token'), 'utf8').trim();
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }

  /** @throws Error that names what did not come true within 30 s, or how the server ended. */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + 30_000;
    for (;;) {
      if (this.#defect !== undefined) throw new Error(this.#defect);
      if (await holds()) return;
      if (performance.now() > endMs)
        throw new Error(`not within 30 s: ${what}\nsteps: ${this.steps.join(', ')}\n${this.#said}`);
      await sleep(LOOK_EVERY_MS);
    }
  }

  /** An orderly end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const limit = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(limit);
  }

  #live(): void {
    this.#lives += 1;
    const args = ['--config', this.#file('server.yaml'), '--token-file', this.#file('token')];
    const child = spawn(process.execPath, [SERVER_PROGRAM, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        FENCELINE_STEPS: this.#file('steps'),
        FENCELINE_CRASHED: this.#file('crashed'),
        FENCELINE_CRASH_AT: JSON.stringify(this.files.crashAt),
      },
    });
    this.#child = child;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = `${this.#said}${text}`.slice(-4_000);
    });
    child.on('exit', (code, signal) => {
      if (this.#stopping) return;
      if (signal === 'SIGKILL') this.#live();
      else this.#defect = `the server ended by itself (${code ?? signal}):\n${this.#said}`;
    });
  }

  #file(name: string): string {
    return path.join(this.files.dir, name);
  }
}
