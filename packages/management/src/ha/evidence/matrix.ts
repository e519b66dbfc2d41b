import type { HostAction } from '../../hosts/contracts.js';
import type { ChannelName } from '../../settings/settings.js';

/** The best thing that any sibling saw of the suspect; `unseen`: no sibling could look. */
export type AtSibling = 'agent' | 'kernel' | 'nothing' | 'unseen';
/** The storage heartbeat as seen: `none` = not configured, `unknown` = can't be read. */
export type StorageHeartbeat = 'up' | 'pending' | 'down' | 'none' | 'unknown';

/** What the rows of the matrix look at. */
export interface Evidence {
  /** The server's own link to the host. */
  link: 'up' | 'down';
  /** The boot that answers, compared with the last known one and with that of its open runs. */
  boot: 'same' | 'new';
  /** It was under suspicion a moment ago. */
  wasSuspect: boolean;
  atSibling: AtSibling;
  storageHeartbeat: StorageHeartbeat;
}

type Wanted<T> = readonly T[] | 'any';

/** One row of the table: the first that fits decides. */
export interface MatrixRow {
  name: string;
  link: 'up' | 'down';
  boot: Wanted<Evidence['boot']>;
  wasSuspect: Wanted<boolean>;
  atSibling: Wanted<AtSibling>;
  storageHeartbeat: Wanted<StorageHeartbeat>;
  /** What it is, a plain sentence. */
  what: string;
  action: HostAction;
  channels: readonly ChannelName[];
  /** In place of `action` where `ha.agentDown.withoutHeartbeat` is `fence`. */
  whenAgentDownFences?: { action: HostAction; channels: readonly ChannelName[] };
}

/** `unknown` is handled as not configured once it has been waited for. */
const NO_HEARTBEAT = ['none', 'unknown'] as const;

const row = (
  name: string,
  fields: Partial<MatrixRow> & Pick<MatrixRow, 'link' | 'what' | 'action'>,
): MatrixRow =>
  Object.freeze({
    name,
    boot: 'any',
    wasSuspect: 'any',
    atSibling: 'any',
    storageHeartbeat: 'any',
    channels: [],
    ...fields,
  });

/** The evidence matrix (D6). Rows that need a storage heartbeat go where their place is, later. */
export const evidenceMatrix: readonly MatrixRow[] = Object.freeze([
  row('rebooted', {
    link: 'up',
    boot: ['new'],
    what: 'the host runs under a new boot: its old runs are over',
    action: 'closeRebooted',
  }),
  row('back-in-time', {
    link: 'up',
    boot: ['same'],
    wasSuspect: [true],
    what: 'the host came back under the same boot',
    action: 'cancel',
  }),
  row('healthy', {
    link: 'up',
    boot: ['same'],
    what: 'the host is healthy',
    action: 'none',
  }),
  row('isolated', {
    link: 'down',
    atSibling: ['agent'],
    what: 'its agent answers a sibling: only the path from this server is down',
    action: 'alarm',
  }),
  row('agent-silent-kernel-answers', {
    link: 'down',
    atSibling: ['kernel'],
    storageHeartbeat: NO_HEARTBEAT,
    what: 'only its kernel or sshd answers: a sick host and a stopped agent look the same',
    action: 'alarm',
    whenAgentDownFences: { action: 'fence', channels: ['peer', 'own-agent'] },
  }),
  row('nothing-answers', {
    link: 'down',
    atSibling: ['nothing'],
    storageHeartbeat: NO_HEARTBEAT,
    what: 'nothing of it answers: dead, or alive and mute',
    action: 'alarm',
    whenAgentDownFences: { action: 'fence', channels: ['peer', 'own-agent', 'power'] },
  }),
  // safety: nobody but this server misses the host; one observer is no evidence.
  row('nobody-could-look', {
    link: 'down',
    atSibling: ['unseen'],
    what: 'no sibling could look at it, so the fault may lie with this server',
    action: 'alarm',
  }),
]);

/** The first row that fits. @throws Error if none does: the matrix has a hole. */
export function fittingRow(
  evidence: Evidence,
  matrix: readonly MatrixRow[] = evidenceMatrix,
): MatrixRow {
  const found = matrix.find(
    (row) =>
      row.link === evidence.link &&
      fits(row.boot, evidence.boot) &&
      fits(row.wasSuspect, evidence.wasSuspect) &&
      fits(row.atSibling, evidence.atSibling) &&
      fits(row.storageHeartbeat, evidence.storageHeartbeat),
  );
  if (found === undefined) throw new Error(`no row fits ${JSON.stringify(evidence)}`);
  return found;
}

function fits<T>(wanted: Wanted<T>, seen: T): boolean {
  return wanted === 'any' || wanted.includes(seen);
}
