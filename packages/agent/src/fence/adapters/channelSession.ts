import type { ClientChannel } from 'ssh2';
import type { SessionEnd } from '../programSession.js';
import { LineSession } from './lineSession.js';

/** 128 + SIGKILL: what a shell between sshd and the program says of a killed child. */
const SHELL_SAYS_KILLED = 137;

/** A session over one SSH channel; `lost` tells it that the connection is gone. */
export function channelSession(
  channel: ClientChannel,
  options: { maxOutputBytes: number; destroy: () => void },
): { session: LineSession; lost: () => void } {
  let how: SessionEnd = { kind: 'closed' };
  const session = new LineSession({
    ...options,
    write: (line) => void channel.write(line),
    endInput: () => channel.end(),
  });
  const finish = (): void => session.end(how);
  channel.on('data', (chunk: Buffer) => session.stdout(chunk));
  channel.stderr.on('data', (chunk: Buffer) => session.stderr(chunk));
  channel.on('error', finish);
  channel.on('exit', (code: number | null, signal?: string) => {
    if (code === null) how = { kind: 'signal', signal: signal ?? '' };
    else
      how =
        code === SHELL_SAYS_KILLED ? { kind: 'signal', signal: 'SIGKILL' } : { kind: 'exit', code };
  });
  // 'exit' may come before the last data, 'close' comes after it.
  channel.on('close', finish);
  return { session, lost: finish };
}
