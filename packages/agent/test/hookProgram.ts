import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseStat } from '../src/vms/parseProcess.js';
import { withHookSettings } from '../src/hook/hookSettings.js';

/** Where the hook's source is. */
export const HOOK_SOURCE = join(import.meta.dirname, '../../native/hook');
export const hasCompiler =
  spawnSync('cc', ['--version']).status === 0 && spawnSync('make', ['--version']).status === 0;

/** One change that takes a protection away. */
export interface PlantedBug {
  name: string;
  file: string;
  from: string;
  to: string;
}

/** What a start looks like to the hook, and what the host remembers. */
export interface HookCase {
  /** Relative to the sandbox, as `run/protected`; a name that ends with a slash is a folder. */
  files: Record<string, string>;
  name?: string;
  operation?: string;
  xml: string | Buffer;
  /** Standard input stays open. */
  open?: boolean;
  /** Its disk hangs: `stateDir` is one of those that test/slow.c holds up. */
  hungDisk?: boolean;
}

export interface HookEnd {
  /** Null: it was killed, as it did not end within three seconds. */
  code: number | null;
  said: string;
  printed: string;
  tookMs: number;
}

/** Folders and programs of one test file. */
export class HookSandbox {
  readonly dir = mkdtempSync(join(tmpdir(), 'hook-'));
  #count = 0;

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Compiled as it is installed. */
  shipped(): string {
    const build = join(this.dir, 'shipped');
    const made = spawnSync('make', ['-s', '-C', HOOK_SOURCE, `B=${build}`], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
    return join(build, 'fenceline-hook');
  }

  /** Compiled with disks that hang, and perhaps with a bug. @throws Error if it is not there. */
  variant(bug?: PlantedBug): string {
    const source = join(this.dir, `source-${(this.#count += 1)}`);
    cpSync(HOOK_SOURCE, source, { recursive: true });
    if (bug !== undefined) {
      const file = join(source, bug.file);
      const text = readFileSync(file, 'utf8');
      if (text.split(bug.from).length !== 2) throw new Error(`${bug.name}: not there exactly once`);
      writeFileSync(
        file,
        text.replace(bug.from, () => bug.to),
      );
    }
    const program = join(source, 'hook');
    const files = ['main.c', 'world.c', 'xml.c', 'list.c', 'judge.c', 'test/slow.c'];
    const args = ['-std=gnu17', '-D_GNU_SOURCE', '-O1', '-w', '-Wl,--wrap=open', '-o', program];
    const made = spawnSync('cc', [...args, ...files], { cwd: source, encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`${bug?.name ?? 'no bug'}: ${made.stderr}`);
    return program;
  }

  /** Runs it as libvirt does. */
  async run(program: string, asked: HookCase): Promise<HookEnd> {
    const home = join(this.dir, `case-${(this.#count += 1)}`);
    const stateDir = join(home, asked.hungDisk === true ? 'hung' : 'state');
    const settings = { runDir: join(home, 'run'), stateDir };
    for (const [name, text] of Object.entries(asked.files)) {
      const path = join(home, asked.hungDisk === true ? name.replace(/^state/, 'hung') : name);
      mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
      if (!name.endsWith('/')) writeFileSync(path, text);
    }
    mkdirSync(home, { recursive: true });
    const installed = join(home, 'hook');
    writeFileSync(installed, withHookSettings(readFileSync(program), settings));
    chmodSync(installed, 0o755);
    return this.#spawn(installed, asked);
  }

  #spawn(program: string, { name = 'web1', operation = 'prepare', xml, open }: HookCase) {
    return new Promise<HookEnd>((resolve) => {
      const beganMs = performance.now();
      const child = spawn(program, [name, operation, 'begin', '-'], { cwd: '/', env: {} });
      const timer = setTimeout(() => child.kill('SIGKILL'), 3_000);
      const end = { said: '', printed: '' };
      child.stderr.on('data', (chunk: Buffer) => (end.said += chunk.toString()));
      child.stdout.on('data', (chunk: Buffer) => (end.printed += chunk.toString()));
      child.stdin.on('error', () => undefined);
      child.stdin.write(xml);
      if (open !== true) child.stdin.end();
      child.on('close', (code) => {
        clearTimeout(timer);
        child.stdin.destroy();
        resolve({ code, ...end, tookMs: performance.now() - beganMs });
      });
    });
  }
}

/** Start time of this very process, as the kernel counts it. */
export function ownStartTime(): number {
  return parseStat(readFileSync('/proc/self/stat', 'utf8'))?.startTime ?? 0;
}
