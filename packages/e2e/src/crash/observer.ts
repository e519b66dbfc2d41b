import { DatabaseSync } from 'node:sqlite';
import type { Entry } from './chronicle.js';

/** What the server left in its database. */
export interface Ledger {
  runs: readonly { epoch: number; hostUuid: string; state: string; proofUuid: string | null }[];
  proofs: readonly { uuid: string; epoch: number; hostUuid: string; digest: string }[];
  history: readonly {
    taskUuid: string;
    attempt: number;
    endedAt: string | null;
    success: number | null;
    failure: string | null;
  }[];
  tasks: readonly { uuid: string; state: string; attempt: number; endedAt: string | null }[];
}

/** Read with SQLite itself: nothing of the server has a hand in it. */
export function readLedger(file: string): Ledger {
  const database = new DatabaseSync(file, { readOnly: true });
  const all = (sql: string): never => database.prepare(sql).all() as never;
  try {
    return {
      runs: all('SELECT epoch, hostUuid, state, proofUuid FROM runs ORDER BY epoch'),
      proofs: all('SELECT uuid, epoch, hostUuid, digest FROM proofs ORDER BY sequence'),
      history: all(
        'SELECT taskUuid, attempt, endedAt, success, failure FROM history ORDER BY attempt',
      ),
      tasks: all('SELECT uuid, state, attempt, endedAt FROM haTasks ORDER BY createdAt'),
    };
  } finally {
    database.close();
  }
}

/** How a story has to end. */
export type Ending = 'running' | 'refused';

export interface Observed {
  entries: readonly Entry[];
  ledger: Ledger;
  /** Names of hosts by uuid. */
  hostName: (uuid: string) => string;
  ending: Ending;
}

/** Every promise that was broken, one sentence each. */
export function brokenPromises(observed: Observed): string[] {
  return [
    ...twoAlive(observed),
    ...startsBeforeProof(observed),
    ...startsWithoutStoredProof(observed),
    ...wrongEnd(observed),
    ...wrongHistory(observed.ledger),
  ];
}

/** I1: never two live runs; F11: no run begins twice. */
function twoAlive({ entries }: Observed): string[] {
  const alive = new Set<string>();
  const begun = new Set<number>();
  const broken: string[] = [];
  for (const { what, host, epoch, atMs } of entries) {
    if (what === 'ended') alive.delete(`${epoch} on ${host}`);
    if (what !== 'began') continue;
    if (alive.size > 0)
      broken.push(`I1: run ${epoch} began on ${host} at ${atMs} ms beside ${[...alive].join()}`);
    if (begun.has(epoch)) broken.push(`F11: run ${epoch} began twice`);
    alive.add(`${epoch} on ${host}`);
    begun.add(epoch);
  }
  return broken;
}

/** I2, F33: before a start is sent, every older run of the ledger was told over by a host. */
function startsBeforeProof({ entries, ledger, hostName }: Observed): string[] {
  return entries.flatMap((start, at) => {
    if (start.what !== 'startAsked') return [];
    const before = entries.slice(0, at);
    return ledger.runs
      .filter(({ epoch }) => epoch < start.epoch)
      .filter(({ epoch, hostUuid }) => !wasToldOver(before, hostName(hostUuid), epoch))
      .map(({ epoch, hostUuid }) => {
        const older = `run ${epoch} on ${hostName(hostUuid)}`;
        return `I2: run ${start.epoch} was started while ${older} was not proven over`;
      });
  });
}

function wasToldOver(entries: readonly Entry[], host: string, epoch: number): boolean {
  return entries.some(
    (entry) => entry.what === 'toldOver' && entry.host === host && entry.epoch >= epoch,
  );
}

/** I2: a start brings the digest of a stored proof for each older run. */
function startsWithoutStoredProof({ entries, ledger }: Observed): string[] {
  return entries.flatMap(({ what, epoch, proofs = [] }) => {
    if (what !== 'startAsked') return [];
    const older = ledger.runs.filter((run) => run.epoch < epoch);
    return older
      .filter((run) => !proofs.some((brought) => isStored(brought, run, ledger)))
      .map((run) => `I2: the start of run ${epoch} brought no stored proof for run ${run.epoch}`);
  });
}

function isStored(
  brought: { epoch: number; proofDigest: string },
  run: Ledger['runs'][number],
  { proofs }: Ledger,
): boolean {
  const proof = proofs.find(({ uuid }) => uuid === run.proofUuid);
  return brought.epoch === run.epoch && proof?.digest === brought.proofDigest;
}

/** One live run and the task over; or refused with its reason, and nothing was sent. */
function wrongEnd({ entries, ledger, ending }: Observed): string[] {
  const broken: string[] = [];
  const count = (what: Entry['what']): number => entries.filter((one) => one.what === what).length;
  const alive = count('began') - count('ended');
  if (alive !== 1) broken.push(`${alive} runs live at the end`);
  const open = ledger.runs.filter(({ state }) => state !== 'closed');
  if (open.length !== 1) broken.push(`${open.length} runs are open in the ledger`);
  const [task, ...more] = ledger.tasks;
  if (task === undefined || more.length > 0) broken.push(`${ledger.tasks.length} tasks, not one`);
  if (ending === 'running' && task?.endedAt === null)
    broken.push(`I4: the task is ${task.state} for ever`);
  if (ending === 'refused' && task?.state !== 'refused') broken.push(`the task is ${task?.state}`);
  if (ending === 'refused' && count('startAsked') > 0)
    broken.push('F2: a start was sent although nothing was proven');
  return broken;
}

/** I5: one row for each attempt, each of them ended, and only the last one with success. */
function wrongHistory({ history, tasks }: Ledger): string[] {
  const broken: string[] = [];
  const attempts = history.map(({ attempt }) => attempt);
  const wanted = attempts.map((_, i) => i + 1);
  if (String(attempts) !== String(wanted) || attempts.length !== tasks[0]?.attempt)
    broken.push(`I5: attempts ${attempts.join()} of ${tasks[0]?.attempt}`);
  for (const [i, { attempt, endedAt, success, failure }] of history.entries()) {
    if (endedAt === null) broken.push(`I5: attempt ${attempt} has not ended`);
    if (success === 1 && i < history.length - 1) broken.push(`attempt ${attempt} was not the last`);
    if (success !== 1 && (failure ?? '') === '')
      broken.push(`F8: attempt ${attempt} failed without a reason`);
  }
  return broken;
}
