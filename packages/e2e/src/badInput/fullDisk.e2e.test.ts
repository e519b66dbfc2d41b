import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { HttpServer } from '@fenceline/common';
import { Chronicle } from '../crash/chronicle.js';
import { serveAgent } from '../crash/fakeAgent.js';
import { FakeHost } from '../crash/fakeHost.js';
import { commandOf, Running } from './programs.js';
import { notTold } from './sentence.js';
import { BadInputSite } from './site.js';

const LIMIT_MS = 120_000;

/** A mount namespace of its own; without root, in a user namespace of its own. */
const UNSHARE = process.getuid?.() === 0 ? ['unshare', '-m'] : ['unshare', '-Urm'];
const MOUNT = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"';

/** The command on a machine whose disk at `dir` is so small. */
function onSmallDisk(dir: string, size: string, command: readonly string[]): string[] {
  return [...UNSHARE, 'sh', '-c', MOUNT, 'sh', size, dir, ...command];
}

const [program = '', ...args] = onSmallDisk('/mnt', '64k', ['true']);
// Skipped, and shown as such, where this user may not mount.
const testOnSmallDisk = spawnSync(program, args).status === 0 ? test : test.skip;

async function fakeHost(name: string, last: number): Promise<HttpServer> {
  const host = new FakeHost(name, site.address(last), new Chronicle());
  const tls = site.identity(name, { role: 'sibling', hosts: [host.address] });
  const nothing = async (): Promise<void> => undefined;
  const hosts = {
    hosts: [host],
    startFate: 'arrives' as const,
    onFence: nothing,
    onStart: nothing,
  };
  return serveAgent(hosts, host, tls);
}

let site: BadInputSite;
let disk: string;
beforeEach(() => {
  site = new BadInputSite();
  disk = site.file('disk');
  mkdirSync(disk);
});
afterEach(() => site.close(), LIMIT_MS);

testOnSmallDisk(
  'a disk that is full at start: exit 1, and what to do',
  async () => {
    const config = site.serverConfig('server', { stateDir: `${disk}/state` });
    const command = onSmallDisk(disk, '64k', commandOf('server', ['--config', config]));
    const ended = await new Running(command).ended;
    expect(
      notTold(ended, { code: 1, says: ['no space left', `${disk}/state`, 'free some'] }),
    ).toEqual([]);
  },
  LIMIT_MS,
);

testOnSmallDisk(
  'a disk that gets full: changes are refused, the server lives and goes on once there is room',
  async () => {
    const config = site.serverConfig('server', { stateDir: `${disk}/state` });
    const server = await site.startServer(config, (command) => onSmallDisk(disk, '4m', command));
    const agent = await fakeHost('h9', 9);
    const port = String(agent.port);
    const add = ['host', 'add', site.address(9), '--name', 'h9', '--agent-port', port, '--wait'];
    expect(await site.cli(add)).toMatchObject({ code: 0 });

    const ballast = `/proc/${server.pid}/root${disk}/ballast`;
    expect(() => writeFileSync(ballast, Buffer.alloc(4 << 20))).toThrow('ENOSPC');
    const change = (value: string) => site.cli(['settings', 'set', 'ha.power.afterMs', value]);
    const told = { code: 1, says: ['the disk of the state directory is full', 'free some space'] };
    expect(notTold(await change('5000'), { ...told, secrets: [site.token] })).toEqual([]);
    const { out } = await site.cli(['status']);
    expect(out).toContain('the disk of the state directory is full');
    // What the server can't write down of a host must not end it.
    const before = server.err.length;
    await agent.stop();
    await server.until('its silence came upon the full disk', () =>
      server.err.slice(before).includes('full'),
    );

    rmSync(ballast);
    expect(await change('6000')).toMatchObject({ code: 0 });
    await server.until('the alarm is over', async () => {
      return !(await site.cli(['status'])).out.includes('is full');
    });
    await server.until('the host is shown as it is', async () => {
      return (await site.cli(['host', 'list'])).out.includes('Disconnected');
    });
    expect(server.code).toBeUndefined();
    expect(server.err).not.toContain('a defect ends the server');
  },
  LIMIT_MS,
);
