import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dashed, DomainError } from '@fenceline/protocol';
import { makeWorkLane } from '../lanes.js';
import type { Lane, Libvirt, LibvirtDomain } from '../libvirt.js';
import { libvirtFailure, parseDomains, parseVersions } from '../parse.js';
import { runCommand, type CommandResult } from './command.js';
import { gateStart } from './startGate.js';

export interface VirshOptions {
  /** The program, `virsh`. */
  virsh: string;
  /** Connection, `qemu:///system`. */
  uri: string;
  /** On a tmpfs; XML of starts under way goes to `runDir/xml`. */
  runDir: string;
  /** Limit of one look, milliseconds. */
  timeoutMs: number;
}

const MAX_BYTES = 8 * 1_024 * 1_024;

/** libvirt through `virsh`: one short process per question, ids as arguments, never a shell line. */
export function virshLibvirt(options: VirshOptions): Libvirt {
  const lanes = {
    // A hung libvirt fills this lane and nothing else.
    look: makeWorkLane('look', { width: 4, waiting: 256 }),
    urgent: makeWorkLane('urgent', { width: 16, waiting: 1_024 }),
  };
  const run = (lane: Lane, args: readonly string[]): Promise<CommandResult> => {
    const until = performance.now() + options.timeoutMs;
    return lanes[lane].run(() => {
      // Time in the queue counts: behind hung questions, one more of them helps nobody.
      const timeoutMs = Math.floor(until - performance.now());
      if (timeoutMs <= 0)
        throw new DomainError('TIMED_OUT', `virsh: no turn in ${options.timeoutMs} ms`);
      const all = ['-q', '-c', options.uri, ...args];
      return runCommand(options.virsh, all, { timeoutMs, maxBytes: MAX_BYTES });
    });
  };
  const ask = async (lane: Lane, what: string, args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(lane, args);
    if (code !== 0) throw libvirtFailure(what, stderr);
    return stdout;
  };
  const names = 'list --all --uuid --name';
  return {
    domains: async (lane = 'look') =>
      parseDomains(await ask(lane, 'list of domains', [`${names}; domstats --state --nowait`])),
    domain: async (vmUuid, lane = 'look') => oneDomain(ask, dashed(vmUuid), lane),
    definition: (vmUuid) =>
      ask('look', 'definition', ['dumpxml', '--inactive', '--security-info', dashed(vmUuid)]),
    prepareStart: ({ vmUuid, epoch, xml }) => prepareStart(options, { vmUuid, epoch, xml }),
    shutdown: async (vmUuid) => {
      await ask('urgent', 'shutdown', ['shutdown', dashed(vmUuid)]);
    },
    versions: async () => parseVersions(await ask('look', 'version', ['version'])),
  };
}

type Ask = (lane: Lane, what: string, args: readonly string[]) => Promise<string>;

/** domstats waits for the lock of a start under way, and so tells its result. */
async function oneDomain(ask: Ask, vmUuid: string, lane: Lane): Promise<LibvirtDomain | undefined> {
  try {
    const text = await ask(lane, `state of ${vmUuid}`, [
      `domname ${vmUuid}; domstats --state ${vmUuid}`,
    ]);
    const name = /^Domain: '(.*)'$/m.exec(text)?.[1] ?? '';
    const [domain] = parseDomains(`${vmUuid} ${name}\n${text}`);
    if (domain === undefined) throw libvirtFailure(`state of ${vmUuid}`, 'no state in the answer');
    return domain;
  } catch (error) {
    if (error instanceof DomainError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function prepareStart(
  options: VirshOptions,
  start: { vmUuid: string; epoch: number; xml: string },
): ReturnType<Libvirt['prepareStart']> {
  const dir = join(options.runDir, 'xml');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, `${dashed(start.vmUuid)}-${start.epoch}.xml`);
  await writeFile(file, start.xml, { mode: 0o600 });
  const command = [options.virsh, '-q', '-c', options.uri, 'create', file];
  try {
    return await gateStart(command, () => rm(file, { force: true }));
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
}
