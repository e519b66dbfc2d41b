import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../libvirt/adapters/command.js';
import type { LibvirtDaemon } from '../../libvirt/daemon.js';
import type { HookCaller, ProbeEnd } from '../hookPorts.js';

export interface HookCallerOptions {
  virsh: string;
  uri: string;
  /** On a tmpfs. */
  runDir: string;
  timeoutMs: number;
  daemon: LibvirtDaemon;
}

const MAX_BYTES = 64 * 1_024;
/** What each host can create without a guest, and which it says it can't. */
const KINDS = ['qemu', 'kvm'] as const;
const NOT_THIS_KIND = /could not find capabilities|unsupported configuration|no emulator/i;

/** virsh's words for a libvirt that is not there, or went away. */
const NOT_ASKED =
  /failed to connect to the hypervisor|Disconnected from|client socket is closed|End of file while/;

/** Probes through virsh. A probe that is not refused ends with its virsh, and never runs. */
export function virshHookCaller(options: HookCallerOptions): HookCaller {
  const { daemon } = options;
  return {
    probe: async (name) => {
      let end: ProbeEnd = { started: false, said: '' };
      for (const kind of KINDS) {
        end = await probe(options, { name, kind });
        if (end.started || !NOT_THIS_KIND.test(end.said)) break;
      }
      return end;
    },
    hangUp: async () => {
      const found = await daemon.find();
      return found !== undefined && daemon.signal(found, 'HUP');
    },
  };
}

async function probe(
  options: HookCallerOptions,
  { name, kind }: { name: string; kind: string },
): Promise<ProbeEnd> {
  const { virsh, uri, runDir, timeoutMs } = options;
  const dir = join(runDir, 'xml');
  const file = join(dir, `${name}.xml`);
  const uuid = randomUUID();
  const limits = { timeoutMs, maxBytes: MAX_BYTES };
  await mkdir(dir, { recursive: true, mode: 0o700 });
  try {
    await writeFile(file, domain({ name, kind, uuid }), { mode: 0o600 });
    const create = ['-q', '-c', uri, 'create', '--paused', '--autodestroy', file];
    const { code, stderr } = await runCommand(virsh, create, limits);
    // safety: it has no disk and no running CPU, and libvirt ends it with its virsh; this is for a
    // libvirt that does not.
    if (code === 0) await runCommand(virsh, ['-q', '-c', uri, 'destroy', uuid], limits);
    if (code !== 0 && NOT_ASKED.test(stderr)) throw new Error(stderr.trim().slice(0, 300));
    return { started: code === 0, said: stderr };
  } finally {
    await rm(file, { force: true });
  }
}

function domain({ name, kind, uuid }: { name: string; kind: string; uuid: string }): string {
  return (
    `<domain type='${kind}'><name>${name}</name><uuid>${uuid}</uuid>` +
    `<memory unit='MiB'>1</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>`
  );
}
