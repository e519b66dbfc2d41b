import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { nodeFiles } from '../plan/hostFiles.js';
import type { NodeName } from '../plan/names.js';
import type { LabPaths } from '../plan/paths.js';
import { removeTree } from '../removeTree.js';
import { mustRun } from '../run.js';

/** Of the machine's /etc these are not shown to nodes: secrets, and what the lab brings itself. */
const withheld = new Set([
  'ssh',
  'libvirt',
  'fenceline',
  'shadow',
  'shadow-',
  'gshadow',
  'gshadow-',
]);

/**
 * Makes (once) and refreshes (at each boot) what a node keeps over reboots: /etc, /var, /root.
 * Also gives it a new boot id, since the kernel's is the same for the whole machine.
 */
export async function prepareNodeDir(paths: LabPaths, node: NodeName): Promise<void> {
  const dir = paths.node(node);
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  if (!existsSync(path.join(dir, 'etc'))) await createNodeDir(paths, node);
  refreshMachineFiles(dir);
  const identity = { uuid: readFileSync(path.join(dir, 'host-uuid'), 'utf8').trim() };
  for (const file of nodeFiles(node, identity)) {
    writeNew(path.join(dir, file.path), file.text, file.mode ?? 0o644);
  }
  writeNew(path.join(dir, 'boot-id'), `${randomUUID()}\n`, 0o444);
}

/** As the host sees its uuid: libvirt's host uuid and, without dashes, /etc/machine-id. */
export function readHostUuid(paths: LabPaths, node: NodeName): string {
  return readFileSync(path.join(paths.node(node), 'host-uuid'), 'utf8').trim();
}

export function readBootId(paths: LabPaths, node: NodeName): string {
  return readFileSync(path.join(paths.node(node), 'boot-id'), 'utf8').trim();
}

async function createNodeDir(paths: LabPaths, node: NodeName): Promise<void> {
  const dir = paths.node(node);
  const fresh = path.join(dir, 'etc.new');
  await removeTree(fresh);
  makeDir(fresh);
  const shown = readdirSync('/etc').filter((name) => !withheld.has(name));
  const from = shown.map((name) => path.join('/etc', name));
  await mustRun(['cp', '--archive', '--target-directory', fresh, '--', ...from]);
  await removeTree(path.join(fresh, 'ssl/private'));
  rmSync(path.join(fresh, 'resolv.conf'), { force: true });
  for (const sub of ['ssh', 'libvirt/hooks', 'libvirt/qemu/networks/autostart', 'fenceline']) {
    makeDir(path.join(fresh, sub));
  }
  // PAM asks for it; nobody logs in with a password here.
  writeFileSync(path.join(fresh, 'shadow'), 'root:*:19000:0:99999:7:::\n', { mode: 0o640 });
  const logs = ['var/log/libvirt/qemu', 'var/log/fenceline'];
  const libs = ['var/lib/libvirt', 'var/cache/libvirt/qemu', 'var/lib/fenceline', 'var/tmp'];
  for (const sub of [...libs, ...logs]) makeDir(path.join(dir, sub));
  chmodSync(path.join(dir, 'var/tmp'), 0o1777);
  linkOnce('/run', path.join(dir, 'var/run'));
  linkOnce('/run/lock', path.join(dir, 'var/lock'));
  makeDir(path.join(dir, 'root/.ssh'), 0o700);
  if (!existsSync(path.join(dir, 'host-uuid'))) {
    writeFileSync(path.join(dir, 'host-uuid'), `${randomUUID()}\n`);
  }
  if (node === 'mgr') giveKey(paths, dir);
  else await makeHostKey(paths, node, fresh);
  // The last step: a node folder with an `etc` is complete.
  renameSync(fresh, path.join(dir, 'etc'));
}

function giveKey(paths: LabPaths, dir: string): void {
  const key = path.join(dir, 'root/.ssh/id_ed25519');
  copyFileSync(paths.sshKey, key);
  chmodSync(key, 0o600);
  const config =
    'Host *\n  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n  LogLevel ERROR\n';
  writeFileSync(path.join(dir, 'root/.ssh/config'), config, { mode: 0o600 });
}

async function makeHostKey(paths: LabPaths, node: NodeName, etc: string): Promise<void> {
  await makeSshKey(path.join(etc, 'ssh/ssh_host_ed25519_key'), `root@${node}`);
  const authorized = path.join(paths.node(node), 'root/.ssh/authorized_keys');
  copyFileSync(`${paths.sshKey}.pub`, authorized);
  chmodSync(authorized, 0o600);
}

/** Makes an ed25519 key pair without passphrase, unless it exists. */
export async function makeSshKey(file: string, comment: string): Promise<void> {
  if (existsSync(file)) return;
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
  await mustRun(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', file]);
}

function makeDir(at: string, mode = 0o755): void {
  mkdirSync(at, { recursive: true, mode });
}

function linkOnce(target: string, at: string): void {
  rmSync(at, { force: true });
  symlinkSync(target, at);
}

/** What packages installed since the copy was made would otherwise miss. */
function refreshMachineFiles(dir: string): void {
  for (const name of ['ld.so.cache', 'passwd', 'group']) {
    const from = path.join('/etc', name);
    if (existsSync(from)) copyFileSync(from, path.join(dir, 'etc', name));
  }
}

/** A new file each time: the old one may still be mounted in a node that is ending. */
function writeNew(file: string, text: string, mode: number): void {
  rmSync(file, { force: true });
  writeFileSync(file, text, { mode });
  chmodSync(file, mode);
}
