import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { LabError } from '../labError.js';
import { nodeEnvironment } from '../plan/environment.js';
import { run } from '../run.js';
import type { LabNode, LabParts } from './labNode.js';

/** Where libvirt keeps what it found out about the emulators; it checks itself if that is outdated. */
const place = 'var/cache/libvirt/qemu';

/**
 * libvirt asks the emulator what it can do, for some 2 s, before its first VM. Once per machine is
 * enough: one host asks, the others get the answer.
 */
export async function learnCapabilities(parts: LabParts, hosts: readonly LabNode[]): Promise<void> {
  const known = path.join(parts.natives.cacheDir, 'capabilities');
  const folder = (host: LabNode) => path.join(parts.paths.node(host.name), place);
  const without = hosts.filter((host) => !hasAnswers(folder(host)));
  const [first] = without;
  if (!first) return;
  if (!hasAnswers(known)) {
    const command = first.enterCommand(first.on.life, ['virsh', '-q', 'capabilities']);
    const asked = await run(command, { timeoutMs: 30_000, env: nodeEnvironment() });
    if (asked.code !== 0) throw new LabError(`libvirt in ${first.name} fails: ${asked.stderr}`);
    copy(folder(first), known);
  }
  for (const host of without) copy(known, folder(host));
}

function hasAnswers(folder: string): boolean {
  const dir = path.join(folder, 'capabilities');
  return existsSync(dir) && readdirSync(dir).some((name) => name.endsWith('.xml'));
}

function copy(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  cpSync(from, to, { recursive: true });
}
