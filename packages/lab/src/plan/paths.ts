import { createHash } from 'node:crypto';
import path from 'node:path';
import { UsageError } from '../labError.js';
import type { NodeName } from './names.js';

/** The repository (or the installed tree) this package is part of. */
export const projectRoot = path.resolve(import.meta.dirname, '../../../..');
export const packageRoot = path.resolve(import.meta.dirname, '../..');

/** What a node sees its own version of; paths of the machine below them are hidden from it. */
export const hiddenInNodes = ['/run', '/srv', '/etc', '/var', '/root'] as const;

/** Where the shared storage is mounted in each host. */
export const sharedStorage = '/srv/shared';

/** Everything below the lab directory has its place stated here. */
export class LabPaths {
  constructor(readonly dir: string) {}

  readonly state = this.at('state.json');
  readonly daemonSocket = this.at('lab.sock');
  readonly daemonLog = this.at('lab.log');
  /** Names the daemon's process for as long as that lives. */
  readonly daemonLock = this.at('daemon.lock');
  /** The power device's socket: reachable from every node, also from nested pid namespaces. */
  readonly powerSocket = this.at('pdu.sock');
  /** What the hosts see as /srv/shared. */
  readonly share = this.at('share');
  /** Root's key: the private half is on `mgr`, the public half on all hosts. */
  readonly sshKey = this.at('ssh/id_ed25519');
  /** One folder for each node. */
  readonly logs = this.at('logs');

  node(node: NodeName): string {
    return this.at('nodes', node);
  }

  log(node: NodeName, service: string): string {
    return path.join(this.logs, node, `${service}.log`);
  }

  disk(name: string): string {
    return path.join(this.share, `${name}.img`);
  }

  /** Names this lab's control groups; differs for each lab directory. */
  get groupName(): string {
    return `fenceline-lab-${createHash('sha256').update(this.dir).digest('hex').slice(0, 10)}`;
  }

  private at(...parts: string[]): string {
    return path.join(this.dir, ...parts);
  }
}

/**
 * The lab directory: `dir`, or $FENCELINE_LAB_DIR, or /tmp/fenceline-lab.
 * @throws UsageError for a place that the nodes cannot see.
 */
export function labPaths(dir?: string, environment = process.env): LabPaths {
  const chosen = path.resolve(dir ?? environment['FENCELINE_LAB_DIR'] ?? '/tmp/fenceline-lab');
  const hidden = hiddenInNodes.find((top) => isBelow(chosen, top));
  if (chosen === '/' || hidden !== undefined) {
    throw new UsageError(
      `The lab directory ${chosen} must not be below ${hidden ?? '/ itself'}, of which the ` +
        `lab's nodes have their own. Choose another with FENCELINE_LAB_DIR or --dir.`,
    );
  }
  // unix socket addresses end at 108 bytes
  if (chosen.length > 80) {
    throw new UsageError(`The lab directory ${chosen} has too long a path: at most 80 characters.`);
  }
  return new LabPaths(chosen);
}

export function isBelow(file: string, top: string): boolean {
  return file === top || file.startsWith(`${top}/`);
}
