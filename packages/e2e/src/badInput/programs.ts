import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const dist = (name: string): string =>
  path.resolve(import.meta.dirname, `../../../${name}/dist/main.js`);

/** The programs as they are installed. */
export const PROGRAM = {
  server: dist('management'),
  agent: dist('agent'),
  cli: dist('cli'),
} as const;
export type ProgramName = keyof typeof PROGRAM;

const LIMIT_MS = 60_000;

/** Variables for a program; what this process has from its own caller does not reach it. */
export type Variables = Readonly<Record<string, string>>;

/** How a program ended. */
export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** @throws Error that says what to do if the programs are not built. */
export function requirePrograms(): void {
  const missing = Object.values(PROGRAM).find((file) => !existsSync(file));
  if (missing !== undefined) throw new Error(`${missing} is not built. Build it: scripts/build`);
}

function environmentOf(variables: Variables): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('FENCELINE_'));
  return { ...Object.fromEntries(own), NODE_OPTIONS: '', ...variables };
}

/** A program that runs. */
export class Running {
  out = '';
  err = '';
  /** Its exit code, null after a signal; undefined while it runs. */
  code: number | null | undefined;
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;

  /** @param command the program and its arguments. */
  constructor([program = '', ...args]: readonly string[], variables: Variables = {}) {
    this.#child = spawn(program, args, {
      env: environmentOf(variables),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.err += text));
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code) => {
        this.code = code;
        resolve({ code, out: this.out, err: this.err });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** @throws Error if it ended, or 60 s passed, before it came true. */
  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const endMs = performance.now() + LIMIT_MS;
    while (!(await holds())) {
      if (this.code !== undefined || performance.now() > endMs)
        throw new Error(`not so: ${what} (exit ${this.code})\n${this.out}${this.err}`);
      await sleep(100);
    }
  }

  async stop(): Promise<Ended> {
    this.#child.kill('SIGTERM');
    return this.ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

/** The command line of one of our programs. */
export function commandOf(program: ProgramName, args: readonly string[]): string[] {
  return [process.execPath, PROGRAM[program], ...args];
}

/** Runs a program to its end; one that does not end within 60 s is killed (code null). */
export async function run(
  program: ProgramName,
  args: readonly string[],
  variables: Variables = {},
): Promise<Ended> {
  const running = new Running(commandOf(program, args), variables);
  const limit = setTimeout(() => running.kill(), LIMIT_MS);
  const ended = await running.ended;
  clearTimeout(limit);
  return ended;
}
