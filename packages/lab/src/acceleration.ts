import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { diskRecordAt } from './disk/format.js';
import { sleep } from './limits.js';
import { removeTree } from './removeTree.js';
import type { Natives } from './natives.js';
import type { Acceleration } from './plan/domainXml.js';

/** A guest that has not written to its disk by then runs too slowly to be of use. */
const probeLimitMs = 1_500;

/**
 * Decides how VMs run: by KVM only if the guest, under KVM, writes to its disk within 1.5 s. That
 * /dev/kvm exists and libvirt calls it capable does not say so: some kinds of nested KVM need
 * seconds for the guest's real mode, where emulation takes 0.1 s. Asked once per kernel.
 * @param labDir the probe's disk is there for a moment.
 */
export async function findAcceleration(natives: Natives, labDir: string): Promise<Acceleration> {
  const note = path.join(natives.cacheDir, `acceleration-${os.release()}`);
  if (existsSync(note)) return readFileSync(note, 'utf8') === 'kvm' ? 'kvm' : 'tcg';
  const found =
    existsSync('/dev/kvm') && (await guestWritesUnderKvm(natives, labDir)) ? 'kvm' : 'tcg';
  writeFileSync(note, found);
  return found;
}

async function guestWritesUnderKvm(natives: Natives, labDir: string): Promise<boolean> {
  const dir = mkdtempSync(path.join(labDir, 'probe-'));
  const image = path.join(dir, 'probe.img');
  copyFileSync(natives.bootSector, image);
  truncateSync(image, 1 << 20);
  const drive = `file=${image},format=raw,if=virtio,cache=none`;
  const args = ['-accel', 'kvm', '-cpu', 'host', '-m', '16', '-nodefaults', '-display', 'none'];
  const qemu = spawn('qemu-system-x86_64', [...args, '-drive', drive], { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => {
    qemu.once('close', () => resolve());
    qemu.once('error', () => resolve());
  });
  try {
    const end = performance.now() + probeLimitMs;
    while (performance.now() < end) {
      await Promise.race([sleep(50), ended]);
      if (diskRecordAt(readFileSync(image), 1)) return true;
      if (qemu.exitCode !== null) return false;
    }
    return false;
  } finally {
    qemu.kill('SIGKILL');
    await ended;
    await removeTree(dir);
  }
}
