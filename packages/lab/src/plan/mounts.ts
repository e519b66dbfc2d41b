import path from 'node:path';
import { hiddenInNodes, isBelow } from './paths.js';
import type { NodeName } from './names.js';

export interface MountPlanInput {
  readonly node: NodeName;
  /** The node's folder in the lab directory. */
  readonly nodeDir: string;
  /** Control groups to join, as folders of the machine. */
  readonly cgroups: readonly string[];
  /** Paths that programs inside need: repository, Node's runtime, lab directory. */
  readonly needed: readonly string[];
}

/**
 * The steps for `labnode`, in order. Hosts and `mgr` have /etc, /var and /root of their own, which
 * persist; /run and /srv are lost with the power. /usr, /home, /opt, /tmp and the rest are the machine's.
 */
export function mountSteps(input: MountPlanInput): string[] {
  const { node, nodeDir } = input;
  const steps = [
    ...input.cgroups.map((dir) => `cgroup=${dir}`),
    ...keptPaths(input.needed).map((kept) => `keep=${kept}`),
    'proc',
    'sys',
    'devpts',
    'tmpfs=/run',
    'dir=/run/lock',
    'dir=/run/sshd',
    'dir=/run/fenceline',
    'tmpfs=/srv',
  ];
  if (node === 'sw') return steps;
  steps.push(
    ...(['etc', 'var', 'root'] as const).map((top) => `bind=${path.join(nodeDir, top)}:/${top}`),
    // The kernel's boot id is the machine's; software in the host must read the host's.
    `bind=${path.join(nodeDir, 'boot-id')}:/proc/sys/kernel/random/boot_id`,
  );
  if (node !== 'mgr') steps.push('dir=/srv/shared');
  return steps;
}

/** Of the needed paths those that a node would not see any more, without repetitions. */
export function keptPaths(needed: readonly string[]): string[] {
  const hidden = needed.filter((file) => hiddenInNodes.some((top) => isBelow(file, top)));
  const outer = hidden.filter((file) => !hidden.some((o) => o !== file && isBelow(file, o)));
  return [...new Set(outer)];
}
