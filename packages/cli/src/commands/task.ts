import { isUuid, TASK_STATES } from '@fenceline/protocol';
import { UsageError } from '../failure.js';
import { given, oneOf, wholeNumber } from '../flags.js';
import { taskLines } from '../render/tasks.js';
import { taskTable } from '../render/status.js';
import { allItems, type Session } from '../session.js';
import { waitTask } from '../wait.js';
import { word, type Add } from './command.js';
import { addProofCommand } from './taskProof.js';

const TASK_LIMIT_MS = 600_000;

interface ListFlags {
  open?: boolean;
  vm?: string;
  state?: string;
  limit?: string;
}

export function addTaskCommands(add: Add): void {
  add<ListFlags>({
    name: 'list',
    summary: 'HA tasks, newest first.',
    options: [
      ['--open', 'only those that have not ended'],
      ['--vm <vm>', 'uuid or name'],
      ['--state <state>', TASK_STATES.join(', ')],
      ['--limit <count>', 'at most so many (default 50)'],
    ],
    run: async (session, _words, flags) => {
      const query = {
        ...given({
          open: flags.open,
          vm: flags.vm,
          state: oneOf('--state', flags.state, TASK_STATES),
        }),
        limit: wholeNumber('--limit', flags.limit) ?? 50,
      };
      const tasks = await allItems(session.api.listTasks, query, session);
      session.show(tasks, (items) =>
        taskTable(items, { nowMs: session.nowMs(), paint: session.paint }),
      );
    },
  });
  add<{ wait?: boolean; all?: boolean }>({
    name: 'show <task>',
    summary:
      'What happened, what it waits for, the ways out. <task>: its uuid, the beginning of it, or a VM.',
    options: [
      ['--wait', 'wait until it has ended'],
      ['--all', 'every attempt, not only the last few'],
    ],
    run: async (session, words, { wait, all }) => {
      const taskUuid = await taskOf(session, word(words));
      if (wait ?? false) await waitTask(session, taskUuid, TASK_LIMIT_MS);
      const task = await session.api.showTask({ taskUuid }, session.call);
      session.show(task, (view) =>
        taskLines(view, { nowMs: session.nowMs(), paint: session.paint, all }),
      );
    },
  });
  addProofCommand(add, taskOf);
  addChanges(add);
}

interface ChangeFlags {
  reason?: string;
  wait?: boolean;
}

function addChanges(add: Add): void {
  add<ChangeFlags>({
    name: 'retry <task>',
    summary: 'Try again now, without waiting for the back-off.',
    options: [
      ['--reason <text>', 'for the audit'],
      ['--wait', 'wait until it has ended'],
    ],
    run: async (session, words, { reason, wait }) => {
      const taskUuid = await taskOf(session, word(words));
      await session.api.retryTask({ taskUuid, ...given({ reason }) }, session.call);
      if (wait ?? false) await waitTask(session, taskUuid, TASK_LIMIT_MS);
      const task = await session.api.showTask({ taskUuid }, session.call);
      session.show(task, (view) =>
        taskLines(view, { nowMs: session.nowMs(), paint: session.paint }),
      );
    },
  });
  add<ChangeFlags>({
    name: 'abandon <task>',
    summary: 'End a task for good, without a start.',
    options: [['--reason <text>', 'why; required']],
    run: async (session, words, { reason }) => {
      if (reason === undefined) throw new UsageError('--reason is missing: why is it given up?');
      const taskUuid = await taskOf(session, word(words));
      const task = await session.api.abandonTask({ taskUuid, reason }, session.call);
      session.show(task, ({ uuid, state }) => [`task ${uuid} is ${state}`]);
    },
  });
}

/** Beginnings of a uuid that are no name by mistake. */
const BEGINNING = /^[0-9a-f]{6,8}(-[0-9a-f]{0,4}){0,3}(-[0-9a-f]{0,12})?$/;

/** A task's uuid, its beginning among the newest tasks, or the newest task of the VM that is named. */
async function taskOf(session: Session, ref: string): Promise<string> {
  const isId: boolean = isUuid(ref);
  if (isId) return ref;
  const { api, call } = session;
  if (BEGINNING.test(ref)) {
    const { items } = await api.listTasks({ limit: 500 }, call);
    const [first, second] = items.filter(({ uuid }) => uuid.startsWith(ref));
    if (second !== undefined) throw new UsageError(`several HA tasks begin with ${ref}`);
    if (first !== undefined) return first.uuid;
  }
  const { items } = await api.listTasks({ vm: ref, limit: 1 }, call);
  const [newest] = items;
  if (newest === undefined)
    throw new UsageError(`there is no HA task for ${ref}; see: fenceline task list`);
  return newest.uuid;
}
