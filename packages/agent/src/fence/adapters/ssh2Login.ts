import type { Socket } from 'node:net';
import type { Secret } from '@fenceline/common';
import ssh2, { type AnyAuthMethod, type Client, type ClientChannel } from 'ssh2';
import type { Login as Credential } from '../credentialKeys.js';
import type { DialFailureKind, DialStage, DialTarget } from '../sshDialer.js';
import type { ProgramSession } from '../programSession.js';
import { channelSession } from './channelSession.js';
import { failureOfErrno } from './connectFirst.js';
import { deferred } from './deferred.js';
import { isPinned, pinnedTypes } from './hostKeys.js';
import type { ProgramText } from './programText.js';
import { promptSocket, type PromptSocket } from './promptSocket.js';

/** What the forced command replaces; seen only by a host that lacks the restricted entry. */
const COMMAND = 'fenceline-fence';

/** A login over a connected socket, up to a channel on which the program runs. */
export interface Login {
  /** Waits without limit of its own: `settle` ends it. */
  readonly result: Promise<{ session: ProgramSession } | { failure: DialFailureKind }>;
  /** Ends the wait with this failure, if nothing has come yet. */
  settle(failure: DialFailureKind): void;
  /** What it is that has not come, if the time is over now. */
  phase(): DialFailureKind;
  destroy(): void;
}

/** Our own key runs the installed program; any other login brings it along (F30). */
export type Access =
  { kind: 'fenceKey'; key: Secret } | { kind: 'login'; login: Credential; program: ProgramText };

interface LoginOptions {
  target: DialTarget;
  access: Access;
  mark: (name: DialStage['name']) => void;
  maxOutputBytes: number;
}

export function startLogin(socket: Socket, options: LoginOptions): Login {
  const { target, access, mark, maxOutputBytes } = options;
  const client = new ssh2.Client();
  const prompt = promptSocket(socket);
  const { promise: result, resolve } = deferred<Awaited<Login['result']>>();
  let phase: DialFailureKind = 'noBanner';
  let wrongHostKey = false;
  let lost: (() => void) | undefined;
  const settle = (failure: DialFailureKind): void =>
    resolve({ failure: wrongHostKey ? 'hostKeyMismatch' : failure });
  const destroy = (): void => {
    client.destroy();
    socket.destroy();
  };
  socket.once('data', () => {
    if (phase === 'noBanner') phase = 'kexFailed';
  });
  client.on('handshake', () => {
    phase = 'authFailed';
    mark('kex');
  });
  client.on('ready', () => {
    phase = 'channelClosed';
    mark('auth');
    const command = access.kind === 'login' ? access.program.command : COMMAND;
    exec({ client, prompt, command }, (channel) => {
      if (channel === undefined) {
        settle(phase);
        return;
      }
      // At once: what ssh2 tells about a channel before somebody listens is lost.
      const opened = channelSession(channel, { maxOutputBytes, destroy });
      lost = opened.lost;
      if (access.kind === 'login') channel.write(access.program.text);
      resolve({ session: opened.session });
    });
  });
  // An error may come twice, and again after the end; the first one that settles counts.
  client.on('error', (error) => settle(classify(error, phase)));
  client.on('close', () => {
    settle(closedIn(phase));
    lost?.();
  });
  const hostVerifier = (shown: Buffer): boolean => {
    // safety: the machine at this address may be another one by now; only a pinned key is the suspect
    wrongHostKey = !isPinned(shown, target.hostKeys);
    return !wrongHostKey;
  };
  if (!open(client, socket, { target, access, hostVerifier })) settle('localError');
  return {
    result,
    settle,
    phase: () => phase,
    destroy,
  };
}

/** Packets that only carry an acknowledgement, per login; one is enough if data comes in one piece. */
const MAX_ACKNOWLEDGEMENTS = 3;

function exec(
  { client, prompt, command }: { client: Client; prompt: PromptSocket; command: string },
  done: (channel: ClientChannel | undefined) => void,
): void {
  try {
    client.exec(command, (error, channel) => {
      acknowledging.stop();
      done(error === undefined ? channel : undefined);
    });
  } catch {
    done(undefined);
    return;
  }
  // sshd tells of the key's options before it confirms the channel, and waits for the acknowledgement.
  // This one asks for nothing back, and is true: the login is for one session.
  const acknowledging = prompt.answerData(() => noMoreSessions(client), MAX_ACKNOWLEDGEMENTS);
}

/** Without a callback, which the types of ssh2 demand, no reply is asked for. */
interface OneWay {
  openssh_noMoreSessions(): unknown;
}

function noMoreSessions(client: Client): void {
  try {
    (client as unknown as OneWay).openssh_noMoreSessions();
  } catch {
    // The connection has ended; its own event tells.
  }
}

type Opening = Pick<LoginOptions, 'target' | 'access'> & { hostVerifier: (key: Buffer) => boolean };

function open(client: Client, socket: Socket, opening: Opening): boolean {
  const { target, access, hostVerifier } = opening;
  try {
    client.connect({
      sock: socket,
      // The limits are the dialer's: this one is not kept in every state.
      readyTimeout: 0,
      authHandler: methodsOf(target.username, access),
      hostVerifier,
      algorithms: { serverHostKey: pinnedTypes(target.hostKeys) },
      username: target.username,
    });
    return true;
  } catch {
    return false;
  }
}

/** What sshd is offered, in this order; nothing else, no agent of ours, no other key. */
function methodsOf(username: string, access: Access): AnyAuthMethod[] {
  if (access.kind === 'fenceKey')
    return [{ type: 'publickey', username, key: access.key.reveal() }];
  const { login } = access;
  if (login.kind === 'privateKey') {
    const { privateKey, passphrase } = login;
    const locked = passphrase === undefined ? {} : { passphrase };
    return [{ type: 'publickey', username, key: privateKey, ...locked }];
  }
  const { password } = login;
  return [
    { type: 'password', username, password },
    {
      type: 'keyboard-interactive',
      username,
      // Only the one question for a password: a second factor is nobody's to answer here.
      prompt: (...[, , , prompts, finish]) =>
        finish(prompts.length === 1 && prompts[0]?.echo === false ? [password] : []),
    },
  ];
}

/** Which failure an error of ssh2 is: by its level and code, else by how far the login had come. */
function classify(
  error: Error & { level?: string; code?: unknown },
  phase: DialFailureKind,
): DialFailureKind {
  if (error.level === 'client-authentication') return 'authFailed';
  const errno = error.level === 'client-socket' ? String(error.code) : undefined;
  if (errno !== undefined && phase === 'noBanner') {
    const failure = failureOfErrno(errno);
    return failure === 'localError' ? 'dropped' : failure;
  }
  return closedIn(phase);
}

/** A connection that ends before its banner is what sshd does above MaxStartups. */
function closedIn(phase: DialFailureKind): DialFailureKind {
  return phase === 'noBanner' ? 'dropped' : phase;
}
