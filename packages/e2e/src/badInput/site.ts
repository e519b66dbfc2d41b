import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TlsFiles, TlsPaths } from '@fenceline/common';
import { makeTestCa } from '@fenceline/common/testing';
import {
  commandOf,
  requirePrograms,
  run,
  Running,
  type Ended,
  type Variables,
} from './programs.js';

/** Stands where a person would have a password; no program may print it. */
export const SECRET = 'hunter2-canary';

/** Files and addresses for a server and an agent on this machine, in a folder of their own. */
export class BadInputSite {
  readonly dir = mkdtempSync(path.join(tmpdir(), 'fenceline-input-'));
  /** Loopback addresses that no other run uses. */
  readonly net = `127.${192 + (process.pid % 62)}.${Math.floor(process.pid / 62) % 256}`;
  readonly #ca = makeTestCa();
  readonly #running: Running[] = [];

  constructor() {
    requirePrograms();
  }

  /** @param last number of the address in this site's own net. */
  address(last: number): string {
    return `${this.net}.${last}`;
  }

  file(name: string): string {
    return path.join(this.dir, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.file(name), text, { mode: 0o600 });
    return this.file(name);
  }

  /** An identity of this site's CA. */
  identity(name: string, who: { role?: string; hosts: readonly string[] }): TlsFiles {
    return this.#ca.issue({ name, ...who });
  }

  /** The same in files. */
  tls(name: string, who: { role?: string; hosts: readonly string[] }): TlsPaths {
    const files = this.identity(name, who);
    return {
      ca: this.write(`${name}.ca`, files.ca),
      cert: this.write(`${name}.cert`, files.cert),
      key: this.write(`${name}.key`, files.key),
    };
  }

  /** A server's configuration that works, with these changes; the name of its file. */
  serverConfig(name: string, { last = 1, ...changes }: ServerChanges = {}): string {
    const hosts = [this.address(last)];
    const config = {
      server: { address: this.address(last), port: 8_443 },
      stateDir: this.file(`${name}.state`),
      tls: {
        api: this.tls(`${name}.api`, { hosts }),
        agents: this.tls(`${name}.agents`, { role: 'server', hosts }),
      },
    };
    return this.write(`${name}.yaml`, JSON.stringify({ ...config, ...changes }));
  }

  agentConfig(name: string, { last = 2, ...changes }: ServerChanges = {}): string {
    const address = this.address(last);
    const config = {
      agent: { listen: [address], port: 7_070 },
      host: { addresses: [address], authorizedKeys: this.file(`${name}.keys`) },
      stateDir: this.file(`${name}.state`),
      runDir: this.file(`${name}.run`),
      tls: this.tls(name, { role: 'sibling', hosts: [address] }),
      // A door would outlive the agent, here on the machine itself.
      fenceDoor: { port: 0 },
    };
    return this.write(`${name}.yaml`, JSON.stringify({ ...config, ...changes }));
  }

  /** A program that runs until the site is closed; it has to be up by then. */
  start(command: readonly string[]): Running {
    const running = new Running(command);
    this.#running.push(running);
    return running;
  }

  /** A server that works; @param wrap runs its command line, e.g. in a namespace of its own. */
  async startServer(
    config: string,
    wrap: (command: string[]) => string[] = (command) => command,
  ): Promise<Running> {
    const args = ['--config', config, '--token-file', this.file('token')];
    const server = this.start(wrap(commandOf('server', args)));
    await server.until('the server answers', () => existsSync(this.file('token')));
    return server;
  }

  get token(): string {
    return readFileSync(this.file('token'), 'utf8').trim();
  }

  /** `fenceline …` against the server of `startServer('server', …)`. */
  cli(args: readonly string[], variables: Variables = {}): Promise<Ended> {
    return run('cli', args, {
      HOME: this.dir,
      FENCELINE_URL: `https://${this.address(1)}:8443`,
      FENCELINE_CA: this.file('server.api.ca'),
      FENCELINE_TOKEN: this.token,
      ...variables,
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((running) => running.stop()));
    await rm(this.dir, { recursive: true, force: true });
  }
}

type ServerChanges = { last?: number } & Readonly<Record<string, unknown>>;
