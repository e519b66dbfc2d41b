import type { Fault } from './plan/faults.js';
import type { HostName, NodeName } from './plan/names.js';
import type { ProcessId } from './processes.js';

/**
 * How the power device behaves; `lying`: it says what is wished for and does nothing; `stuck`: one
 * outlet acknowledges "off" and stays on, which it also reads.
 */
export type PowerDeviceMode =
  | { mode: 'ok' | 'dead' | 'lying' }
  | { mode: 'slow'; ms: number }
  | { mode: 'stuck'; plug: string };

export interface ServiceRequest {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Folder to run in, as the node sees it. Default /. */
  readonly cwd?: string;
  /** Started again at each boot of the node. Default false. */
  readonly boot?: boolean;
  /** Time from an end to the next start; absent: it is not started again. */
  readonly restartMs?: number;
}

/** What the lab's daemon can be asked. */
export type LabRequest =
  | { do: 'ping' }
  | { do: 'up'; hosts: number }
  | { do: 'down' }
  | { do: 'status' }
  | { do: 'power'; node: NodeName; action: 'on' | 'off' | 'status' }
  | { do: 'fault'; host: HostName; fault: Fault }
  | { do: 'powerDevice'; mode: PowerDeviceMode }
  | { do: 'startService'; node: NodeName; name: string; service: ServiceRequest }
  | { do: 'stopService'; node: NodeName; name: string; graceMs: number }
  | { do: 'killService'; node: NodeName; name: string; restarts: boolean }
  | { do: 'releaseService'; node: NodeName; name: string };

export interface NodeStatus {
  readonly name: NodeName;
  readonly power: 'on' | 'off';
  /** Of the management net. */
  readonly address: string;
  /** Dashed. Absent for `sw`. */
  readonly uuid?: string;
  /** Of this boot; absent while the power is off. */
  readonly bootId?: string;
  readonly services: readonly { name: string; pid?: number; held: boolean }[];
  /** As `lab fault` would be told them. */
  readonly faults: readonly string[];
}

export interface LabStatus {
  readonly dir: string;
  readonly daemonPid: number;
  readonly locks: boolean;
  readonly acceleration: 'tcg' | 'kvm';
  readonly powerDevice: PowerDeviceMode;
  readonly nodes: readonly NodeStatus[];
}

/** What is noted in state.json: enough to enter a node, and to clean up after a crash. */
export interface LabState {
  readonly daemon: ProcessId;
  /** The daemon takes the lab down and will end. */
  readonly ending?: true;
  readonly nodes: Readonly<Partial<Record<NodeName, NodeState>>>;
}

export interface NodeState {
  readonly init: ProcessId;
  readonly storage?: ProcessId;
  readonly cgroups: readonly string[];
}
