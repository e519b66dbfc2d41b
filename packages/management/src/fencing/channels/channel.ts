import type { HostJudgement } from '../../hosts/contracts.js';
import type { ChannelName } from '../../settings/settings.js';
import type { Run } from '../../vms/runs/run.js';
import type { Vm } from '../../vms/vm.js';
import type { FenceProof } from '../proof.js';

/** One run to be closed, and what is known. */
export interface ProofRequest {
  run: Run;
  vm: Vm;
  taskUuid: string;
  siblingHostUuids: readonly string[];
  /** Of the run's host: its settings count. */
  clusterUuid?: string | undefined;
  /** The judgement in force of the run's host, asked anew; undefined: it is not suspect. */
  judgementNow: () => HostJudgement | undefined;
  /** Why no order may be given for this run any more, asked before each; undefined: it may. */
  heldBack: () => string | undefined;
  /** An order only where a look shows that it may have more success than the last one. */
  sparing?: boolean;
}

export interface ChannelResult {
  channel: ChannelName;
  proof?: FenceProof;
  /** What the channel found, or why it could not say; a sentence part. */
  why: string;
  /** Its qemu was told to die and is still there, or its last writes are: time may settle it. */
  dying?: boolean;
  /** A newer run than this one exists: the attempt is stale and stops (F14). */
  stale?: boolean;
}

/** A way to prove that a run is over (§6). */
export interface ProofChannel {
  readonly name: ChannelName;
  /** Why this channel must not or can't be used here; undefined = it may. */
  barredBy(request: ProofRequest): string | undefined;
  /**
   * Tries to prove it, within limits of its own. The signal asks it to stop: no further order
   * is given, and nobody waits for one that is out. Never throws.
   */
  prove(request: ProofRequest, signal: AbortSignal): Promise<ChannelResult>;
}
