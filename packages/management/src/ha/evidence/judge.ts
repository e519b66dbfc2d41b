import type { HostAction } from '../../hosts/contracts.js';
import type { ChannelName, HaSettings } from '../../settings/settings.js';
import type { HostState } from '../../store/schema.js';
import { fittingRow, type Evidence, type MatrixRow } from './matrix.js';

/** Everything that one judgement of one host looks at. */
export interface Inputs {
  evidence: Evidence;
  hostState: HostState;
  /** D3: all hosts of the cluster fell silent together. */
  ownNetworkFirst: boolean;
  mode: HaSettings['mode'];
  withoutHeartbeat: HaSettings['agentDown']['withoutHeartbeat'];
  /** Since the agent was last heard, ms. */
  lastHeardAgeMs: number;
  /** `ha.detect.silentAfterMs`. */
  silentAfterMs: number;
  /** `ha.preFence.channels`: which channels may be used, in order. */
  allowedChannels: readonly ChannelName[];
}

export interface Verdict {
  row: string;
  action: HostAction;
  channels: readonly ChannelName[];
  /** One plain sentence. */
  why: string;
}

/** One decision (D6). No clock, no network: same input, same output. */
export function judge(inputs: Inputs): Verdict {
  const row = fittingRow(inputs.evidence);
  const wish = wishOf(row, inputs.withoutHeartbeat);
  const cap = inputs.evidence.link === 'up' ? capUp(wish.action, inputs) : capDown(wish, inputs);
  const action = cap?.action ?? wish.action;
  return {
    row: row.name,
    action,
    channels:
      action === 'fence'
        ? inputs.allowedChannels.filter((name) => wish.channels.includes(name))
        : [],
    why: cap === undefined ? row.what : `${row.what}; ${cap.why}`,
  };
}

type Wish = Pick<MatrixRow, 'action' | 'channels'>;
interface Cap {
  action: HostAction;
  why: string;
}

function wishOf(row: MatrixRow, policy: Inputs['withoutHeartbeat']): Wish {
  return policy === 'fence' ? (row.whenAgentDownFences ?? row) : row;
}

const DISARMED: Cap = { action: 'alarm', why: 'HA does not act (ha.mode)' };

function capUp(wish: HostAction, { mode }: Inputs): Cap | undefined {
  // Calling off is always allowed; acting on a reboot means starting VMs.
  return wish === 'closeRebooted' && mode !== 'active' ? DISARMED : undefined;
}

function capDown({ action }: Wish, inputs: Inputs): Cap | undefined {
  // safety: a host that a person works on goes away by that person's hand; nothing follows from it.
  if (inputs.hostState === 'Maintenance')
    return { action: 'none', why: 'the host is in maintenance' };
  if (action !== 'fence') return undefined;
  // safety: what the server can't see because of itself, it doesn't blame on hosts.
  if (inputs.ownNetworkFirst)
    return {
      action: 'alarm',
      why: 'all hosts of its cluster fell silent together: the own network of this server comes first',
    };
  if (inputs.mode !== 'active') return DISARMED;
  // A host whose kernel answers may only have restarted its agent: it gets as long as a silent one.
  if (inputs.evidence.atSibling === 'kernel' && inputs.lastHeardAgeMs < inputs.silentAfterMs)
    return { action: 'none', why: 'its agent may be restarting' };
  return undefined;
}
