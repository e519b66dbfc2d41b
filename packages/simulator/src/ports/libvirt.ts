import type {
  DomainEvent,
  Libvirt,
  LibvirtDomain,
  LibvirtEvents,
  PendingStart,
  StartEnd,
} from '@fenceline/agent';
import { TimeoutError, withLimit, type Clock } from '@fenceline/common';
import { DomainError, type VmState } from '@fenceline/protocol';
import type { SimHost } from '../world/host.js';
import { deferred } from '../world/deferred.js';
import { LibvirtError, type DomainReport, type Libvirtd } from '../world/libvirtd.js';
import { makeItems } from './items.js';

/** Limit of one question, as the agent's default. */
const QUESTION_LIMIT_MS = 5_000;
const SHUTDOWN_MS = 1_500;

const STATES: Record<DomainReport['word'], VmState> = {
  running: 'Running',
  starting: 'Starting',
  'shut off': 'Stopped',
  crashed: 'Crashed',
};

/**
 * The port Libvirt on a simulated host.
 * @param onAgentEnd tells when the agent that asks has ended.
 */
export function simLibvirt(
  host: SimHost,
  clock: Clock,
  onAgentEnd: (listener: () => void) => void,
): Libvirt {
  const ask = <T>(what: string, work: (libvirtd: Libvirtd) => Promise<T>): Promise<T> =>
    translated(what, () =>
      withLimit({ clock, ms: QUESTION_LIMIT_MS, what }, () => work(running(host))),
    );
  return {
    domains: () => ask('list of domains', async (it) => (await it.domains()).map(domainOf)),
    domain: (vmUuid) =>
      ask(`state of ${vmUuid}`, async (it) => domainOf(await it.domain(vmUuid))).catch(
        (error: unknown) => {
          if (error instanceof DomainError && error.code === 'NOT_FOUND') return undefined;
          throw error;
        },
      ),
    definition: (vmUuid) => ask('definition', (it) => it.definition(vmUuid)),
    prepareStart: async ({ xml }) => prepareStart(host, { clock, xml, onAgentEnd }),
    shutdown: async (vmUuid) => {
      const qemu = await ask('shutdown', (it) => it.shutdown(vmUuid));
      if (host.guestsObey) clock.after(SHUTDOWN_MS, () => qemu.kill());
    },
    versions: () =>
      ask('version', async (it) => {
        await it.ask();
        return { libvirt: '9.0.0', qemu: '7.2.0' };
      }),
  };
}

/** libvirt's events; the stream breaks with its daemon. */
export function simLibvirtEvents(host: SimHost): LibvirtEvents {
  return {
    open: async function* (signal) {
      const libvirtd = translateNow(() => running(host));
      const items = makeItems();
      const stop = libvirtd.listen({
        event: (domainName, what) => items.push({ domainName, what } satisfies DomainEvent),
        end: () => items.fail(new Error("the connection to libvirt's daemon was lost")),
      });
      const onAbort = (): void => items.end();
      signal.addEventListener('abort', onAbort, { once: true });
      yield undefined;
      const reading = items.read(() => {
        stop();
        signal.removeEventListener('abort', onAbort);
      });
      yield* reading as AsyncGenerator<DomainEvent>;
    },
  };
}

/**
 * `virsh create`, blocked until its go. If the agent dies first, it reads the end of its input and
 * ends; after the go it lives until libvirt has answered, whoever asked.
 */
function prepareStart(
  host: SimHost,
  ask: { clock: Clock; xml: string; onAgentEnd: (listener: () => void) => void },
): PendingStart {
  const killed = deferred<never>();
  killed.promise.catch(() => undefined);
  const helper = host.processes.addHelper(() =>
    killed.reject(
      new DomainError('LIBVIRT_FAILED', 'the start was ended from outside, as by a fence'),
    ),
  );
  let went = false;
  let end: StartEnd = 'resolved';
  const finish = (): void => {
    if (!helper.isGone) host.processes.ended(helper);
  };
  ask.onAgentEnd(() => {
    if (!went) finish();
  });
  return {
    pid: helper.pid,
    startTime: helper.startTime,
    go: async (timeoutMs) => {
      went = true;
      end = 'unresolved';
      const limit = { clock: ask.clock, ms: timeoutMs, what: 'start' };
      const create = async (): Promise<void> => {
        if (helper.isGone) return killed.promise;
        const answer = running(host).create(ask.xml);
        // A daemon that ended meanwhile has answered nothing.
        const answered = answer.catch((error: unknown) => {
          if (!(error instanceof LibvirtError) || error.failure.kind !== 'ended') end = 'resolved';
          throw error;
        });
        await Promise.race([answered, killed.promise]);
        end = 'resolved';
      };
      try {
        await translated('start', () => withLimit(limit, create));
      } finally {
        finish();
      }
    },
    abandon: async () => {
      finish();
      return end;
    },
  };
}

function running({ libvirtd }: SimHost): Libvirtd {
  if (libvirtd === undefined) throw new LibvirtError({ kind: 'notThere' });
  return libvirtd;
}

function domainOf({ vmUuid, name, word }: DomainReport): LibvirtDomain {
  return { vmUuid, name, state: STATES[word] };
}

async function translated<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asDomainError(what, error);
  }
}

function translateNow<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asDomainError('events', error);
  }
}

function asDomainError(what: string, error: unknown): unknown {
  if (error instanceof TimeoutError) return new DomainError('TIMED_OUT', error.message);
  if (!(error instanceof LibvirtError)) return error;
  const { failure } = error;
  switch (failure.kind) {
    case 'notThere':
      return new DomainError('LIBVIRT_FAILED', `${what}: Failed to connect socket`);
    case 'ended':
      return new DomainError('LIBVIRT_FAILED', `${what}: End of file while reading data`);
    case 'noSuchDomain':
      return new DomainError('NOT_FOUND', `${what}: libvirt knows no such VM`);
    case 'alreadyActive':
      return new DomainError('LIBVIRT_FAILED', `${what}: the domain is already active`);
    case 'imageLocked': {
      const { path } = failure;
      return new DomainError(
        'IMAGE_LOCKED',
        `${what}: another process holds the write lock of an image (${path})`,
        { path },
      );
    }
    default:
      return failure satisfies never;
  }
}
