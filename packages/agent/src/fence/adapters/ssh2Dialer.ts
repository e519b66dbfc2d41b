import type { Clock, Secret } from '@fenceline/common';
import ssh2 from 'ssh2';
import type {
  Dialed,
  DialFailureKind,
  DialLimits,
  DialStage,
  DialTarget,
  SshDialer,
} from '../sshDialer.js';
import { connectFirst } from './connectFirst.js';
import type { ProgramText } from './programText.js';
import { startLogin, type Access, type Login } from './ssh2Login.js';

export interface Ssh2DialerOptions {
  clock: Clock;
  /** This host's fence key, OpenSSH or PEM form; asked for at each login. */
  privateKey: () => Promise<Secret>;
  /** The program for a host that has none; asked for only with a login that is not our key. */
  program?: () => Promise<ProgramText>;
}

/** Logins with ssh2. Every wait has a limit of ours, whether or not the library calls back. */
export function ssh2Dialer(options: Ssh2DialerOptions): SshDialer {
  const { clock } = options;
  return {
    dial: async (target, limits) => {
      const { stages, mark } = stageWatch(clock);
      const fail = (failure: DialFailureKind): Dialed => ({ ok: false, failure, stages });
      const until = clock.monotonicMs() + limits.totalMs;
      const leftMs = (): number => Math.max(0, until - clock.monotonicMs());
      if (limits.signal.aborted) return fail('aborted');
      // safety: without a pinned host key anybody at that address could answer
      if (target.hostKeys.length === 0) return fail('localError');
      const access = await accessFor(target, options).catch(() => undefined);
      if (access === undefined) return fail('localError');
      const connected = await connectFirst(target, {
        clock,
        limitMs: Math.min(limits.connectMs, leftMs()),
        signal: limits.signal,
      });
      mark('connect');
      if (!connected.ok) return fail(connected.failure);
      const login = startLogin(connected.socket, {
        target,
        access,
        mark,
        maxOutputBytes: limits.maxOutputBytes,
      });
      const result = await bounded(login, { ...limits, clock, totalMs: leftMs() });
      if ('failure' in result) {
        login.destroy();
        return fail(result.failure);
      }
      mark('exec');
      return { ok: true, session: result.session, address: connected.address, stages };
    },
  };
}

/** With what to log in and what to run there. @throws Error if there is no key or no program. */
async function accessFor(
  { login }: DialTarget,
  { privateKey, program }: Ssh2DialerOptions,
): Promise<Access> {
  if (login === undefined) return { kind: 'fenceKey', key: readable(await privateKey()) };
  if (program === undefined) throw new Error('no program for hosts that have none');
  return { kind: 'login', login, program: await program() };
}

/** ssh2 would offer nothing in its place, which looks as if the host did not know the key. */
function readable(key: Secret): Secret {
  if (ssh2.utils.parseKey(key.reveal()) instanceof Error)
    throw new Error('no key that can be read');
  return key;
}

/** The login's result, or what has not come when the time is over or the signal fires. */
async function bounded(
  login: Login,
  limits: DialLimits & { clock: Clock },
): Promise<Awaited<Login['result']>> {
  const timer = limits.clock.after(limits.totalMs, () => login.settle(login.phase()));
  const onAbort = (): void => login.settle('aborted');
  limits.signal.addEventListener('abort', onAbort, { once: true });
  const result = await login.result;
  timer.cancel();
  limits.signal.removeEventListener('abort', onAbort);
  return result;
}

function stageWatch(clock: Clock): {
  stages: DialStage[];
  mark: (name: DialStage['name']) => void;
} {
  const stages: DialStage[] = [];
  let last = clock.monotonicMs();
  return {
    stages,
    mark: (name) => {
      const now = clock.monotonicMs();
      stages.push({ name, ms: now - last });
      last = now;
    },
  };
}
