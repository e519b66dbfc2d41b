import type { ProveRebooted } from '../fencing/rebooted.js';
import type { AgentGateway } from '../hosts/agentGateway.js';
import type { HostDirectory } from '../hosts/contracts.js';
import { askStatus } from './askStatus.js';
import type { VmInventory } from './inventory.js';
import type { Ledger } from './runs/ledger.js';
import type { Run } from './runs/run.js';

export interface OldBootsDeps {
  ledger: Ledger;
  inventory: Pick<VmInventory, 'changed'>;
  gateway: AgentGateway;
  directory: HostDirectory;
  proveRebooted: ProveRebooted;
}

/** Runs whose host answers under another boot than theirs. */
export interface OldBoots {
  /**
   * Closes such a run, and kills nothing: what its host runs by now, started by libvirt or by a
   * person, is a newer run (I3). That one is in the ledger before the old one is closed.
   * @returns the newer run, if there is one; or why the old one stays open.
   */
  close(run: Run): Promise<{ now: Run | undefined } | { refused: string }>;
}

export function makeOldBoots(deps: OldBootsDeps): OldBoots {
  const { ledger, inventory } = deps;
  return {
    close: async (run) => {
      const judged = await deps.proveRebooted(run);
      if ('refused' in judged) return judged;
      const { hostUuid, vmUuid } = run;
      const shown = await askStatus(deps, run);
      // safety: asked after the boot was; an older answer would be about the old one.
      if (shown === undefined || shown.bootId === run.bootId)
        return { refused: 'its host does not say what it runs now' };
      const { vm, bootId } = shown;
      if (vm?.hasProcess === true) await inventory.changed({ hostUuid, bootId, vm });
      await ledger.close(judged.proof, null);
      const open = await ledger.openRuns(vmUuid);
      const now = open.find((one) => one.hostUuid === hostUuid && one.bootId === bootId);
      return { now };
    },
  };
}
