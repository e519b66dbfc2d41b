import { sleep } from '@fenceline/common';
import type { HostView, TaskStoryView, VmDetailView } from '@fenceline/protocol';
import { EXIT, WorkError, type ExitCode } from './failure.js';
import { clean } from './render/text.js';
import { duration } from './render/time.js';
import type { Session } from './session.js';

const LOOK_EVERY_MS = 250;

/** What one look at the work says. */
type Look<T> =
  | { kind: 'done'; value: T }
  | { kind: 'failed'; why: string; exitCode: ExitCode }
  | { kind: 'goesOn'; text: string };

interface Wait<T> {
  /** Names the work in messages. */
  what: string;
  limitMs: number;
  look: () => Promise<Look<T>>;
}

/**
 * Looks at long work until it ends, and tells each change.
 * @throws WorkError if it ends badly, or goes on beyond the limit.
 */
async function waitFor<T>(session: Session, { what, limitMs, look }: Wait<T>): Promise<T> {
  const { clock, signal } = session.world;
  const beganMs = clock.monotonicMs();
  let told = '';
  for (;;) {
    const seen = await look();
    const tookMs = clock.monotonicMs() - beganMs;
    if (seen.kind === 'done') {
      session.progress(`${what}: done after ${duration(tookMs)}`);
      return seen.value;
    }
    if (seen.kind === 'failed') throw new WorkError(`${what}: ${seen.why}`, seen.exitCode);
    if (seen.text !== told)
      session.progress(`${duration(tookMs).padStart(8)}  ${clean(seen.text)}`);
    told = seen.text;
    if (tookMs >= limitMs)
      throw new WorkError(
        `${what}: not done after ${duration(tookMs)} (${seen.text}); it goes on by itself`,
        EXIT.failed,
      );
    await sleep(clock, LOOK_EVERY_MS, signal);
  }
}

/** Until a VM is seen running. */
export function waitRunning(session: Session, vm: string, limitMs: number): Promise<VmDetailView> {
  return waitFor(session, {
    what: `start of ${vm}`,
    limitMs,
    look: async () => {
      const now = await session.api.showVm({ vm }, session.call);
      if (now.state === 'Running') return { kind: 'done', value: now };
      return {
        kind: 'goesOn',
        text: `${now.name} is ${now.state} on ${now.hostName ?? 'no host'}`,
      };
    },
  });
}

/** Until an HA task has ended; one that waits goes on, and its reason is told. */
export function waitTask(
  session: Session,
  taskUuid: string,
  limitMs: number,
): Promise<TaskStoryView> {
  return waitFor(session, {
    what: `task ${taskUuid}`,
    limitMs,
    look: async () => {
      const task = await session.api.showTask({ taskUuid }, session.call);
      if (task.state === 'done') return { kind: 'done', value: task };
      const waits = task.waitsFor === null ? '' : `: ${task.waitsFor}`;
      if (task.endedAt !== null)
        return {
          kind: 'failed',
          why: `${task.state}${waits}`,
          exitCode: task.state === 'refused' ? EXIT.refused : EXIT.failed,
        };
      // It goes on by itself; whoever waits here wants to know now, and what could be done.
      if (task.state === 'refused')
        return {
          kind: 'failed',
          why: [`refused${waits}`, ...task.waysOut.map((way) => `  way out: ${way}`)].join('\n'),
          exitCode: EXIT.refused,
        };
      const step = task.steps.findLast(({ result }) => result === 'started')?.name;
      return {
        kind: 'goesOn',
        text: `${task.state}${step === undefined ? '' : ` (${step})`}${waits}`,
      };
    },
  });
}

/** Until a new host's first connect has ended. */
export function waitConnected(
  session: Session,
  { uuid, name }: HostView,
  limitMs: number,
): Promise<HostView> {
  return waitFor(session, {
    what: `connect of ${name}`,
    limitMs,
    look: async () => {
      const now = await session.api.showHost({ host: uuid }, session.call);
      if (now.status === 'Connected') return { kind: 'done', value: now };
      return now.connectFailure === null
        ? { kind: 'goesOn', text: `${now.name} is ${now.status}` }
        : failed(now.connectFailure);
    },
  });
}

/** Until a reconnect that was asked for has ended: `before` is the host as it was then. */
export function waitReconnected(
  session: Session,
  before: HostView,
  limitMs: number,
): Promise<HostView> {
  return waitFor(session, {
    what: `reconnect of ${before.name}`,
    limitMs,
    look: async () => {
      const now = await session.api.showHost({ host: before.uuid }, session.call);
      // Connected alone says nothing: so it may have been before.
      if (now.reconnectsEnded <= before.reconnectsEnded)
        return { kind: 'goesOn', text: `${now.name} is ${now.status}` };
      return now.connectFailure === null
        ? { kind: 'done', value: now }
        : failed(now.connectFailure);
    },
  });
}

/** The server goes on trying by itself; whoever waits wants to know now. */
function failed(why: string): Look<HostView> {
  return { kind: 'failed', why, exitCode: EXIT.notReachable };
}
