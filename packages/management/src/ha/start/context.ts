import { messageOf, type Clock, type Logger } from '@fenceline/common';
import type { ProofChannel } from '../../fencing/channels/channel.js';
import type { CloseOnHost } from '../../fencing/channels/ownAgent.js';
import type { AgentGateway } from '../../hosts/agentGateway.js';
import type { HostDirectory, HostJudgement, HostPresence } from '../../hosts/contracts.js';
import type { HaStartVmInstanceMsg } from '../../messages/types.js';
import type { Placer } from '../../placement/placer.js';
import type { SettingsSource } from '../../settings/settings.js';
import type { Store } from '../../store/store.js';
import type { Events } from '../../telemetry/events.js';
import type { Ledger } from '../../vms/runs/ledger.js';
import type { OldBoots } from '../../vms/oldBoots.js';
import type { RunWatch } from '../../vms/runWatch.js';
import type { Vm } from '../../vms/vm.js';
import type { Holds } from '../holds.js';
import type { HostFailures } from '../hostFailures.js';
import type { HaTask } from '../tasks/task.js';
import type { EndStep, Tasks } from '../tasks/tasks.js';

/** Called before every HA start; any error refuses it (F1). */
export interface BeforeHaStartVm {
  readonly name: string;
  beforeHaStart(vm: Vm): Promise<void>;
}

/** What the HA start needs. */
export interface HaStartDeps {
  store: Store;
  clock: Clock;
  log: Logger;
  events: Events;
  settings: SettingsSource;
  ledger: Ledger;
  tasks: Tasks;
  directory: HostDirectory;
  presence: HostPresence;
  gateway: AgentGateway;
  placer: Placer;
  channels: readonly ProofChannel[];
  closeOnHost: CloseOnHost;
  runWatch: RunWatch;
  oldBoots: OldBoots;
  extensions: readonly BeforeHaStartVm[];
  /** Marks the host of a run while proof is sought; harmless for a host that is not suspect. */
  fencing: Pick<HostFailures, 'began' | 'refused'>;
  holds: Pick<Holds, 'mode' | 'attempt'>;
  /** The judgement in force of a host. */
  judgementOf: (hostUuid: string) => HostJudgement | undefined;
}

/** One attempt, as its steps hand it on. */
export interface Attempt {
  readonly deps: HaStartDeps;
  readonly message: HaStartVmInstanceMsg;
  readonly task: HaTask;
  readonly vm: Vm;
  readonly log: Logger;
  /** Fires when the attempt's time is up. */
  readonly signal: AbortSignal;
  /** Hosts that may not be a destination of this attempt, whatever their status. */
  suspects: string[];
  /** Epochs of the open runs whose own host says that they are gone. */
  gone: Set<number>;
  proofDigests: string[];
  /** The VM runs already where the ledger says: nothing to start. */
  adopted?: { hostUuid: string; epoch: number };
  /** Where it runs now. */
  started?: { hostUuid: string; epoch: number };
}

/** An attempt ends without a start: what is true, and the ways out (F8). */
export class HaRefusal extends Error {
  constructor(
    message: string,
    readonly waysOut: readonly string[] = [],
    /** A qemu was told to die and is still there: worth a look before the next attempt. */
    readonly dying = false,
  ) {
    super(message);
    this.name = 'HaRefusal';
  }
}

/** What people read beside a step: small, flat facts. */
type Note = (facts: Record<string, unknown>) => void;

/** What was under way is not wanted any more; the next attempt looks at what is true then. */
export class HaCalledOff extends HaRefusal {}

/** The step did not reach what it is for, although nothing was thrown: it is not shown as done. */
type Fail = () => void;

/** Runs `work` as a recorded sub-step: durable before it acts, with its time (F9, F10). */
export async function recorded<T>(
  attempt: Pick<Attempt, 'deps' | 'task'>,
  name: string,
  work: (note: Note, fail: Fail) => Promise<T>,
): Promise<T> {
  const end: EndStep = await attempt.deps.tasks.beginStep(attempt.task, name);
  const detail: Record<string, unknown> = {};
  let came: 'done' | 'failed' = 'done';
  try {
    const result = await work(
      (facts) => Object.assign(detail, facts),
      () => void (came = 'failed'),
    );
    await end(came, detail);
    return result;
  } catch (error) {
    await end('failed', { ...detail, error: messageOf(error) });
    throw error;
  }
}
