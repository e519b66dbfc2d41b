import { ConfigError, errorCode, messageOf } from '@fenceline/common';
import { BadAnswerError, DomainError, RemoteError, TransportError } from '@fenceline/protocol';

/** Exit codes of every program of the product. */
export const EXIT = {
  done: 0,
  failed: 1,
  wrongUsage: 2,
  refused: 3,
  notReachable: 4,
  notAllowed: 5,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The person asked for something that can't be; the message says what to do instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The work that was waited for ended badly, or not in time. */
export class WorkError extends Error {
  override readonly name = 'WorkError';
  constructor(
    message: string,
    readonly exitCode: ExitCode,
  ) {
    super(message);
  }
}

/** What went wrong: a sentence or two, never a stack trace, and the exit code. */
export interface Explained {
  code: string;
  lines: string[];
  exitCode: ExitCode;
}

const BY_CODE: Record<string, ExitCode> = {
  BAD_INPUT: EXIT.wrongUsage,
  UNAUTHENTICATED: EXIT.notAllowed,
  FORBIDDEN: EXIT.notAllowed,
  TOO_MANY_REQUESTS: EXIT.notAllowed,
  REFUSED: EXIT.refused,
  STALE_EPOCH: EXIT.refused,
  IMAGE_LOCKED: EXIT.refused,
  STOPPING: EXIT.notReachable,
  HOST_UNREACHABLE: EXIT.notReachable,
};

export function explain(error: unknown, url: string): Explained {
  if (error instanceof ConfigError)
    return {
      code: 'BAD_CONFIG',
      lines: [`${error.source}:`, ...error.problems.map((problem) => `  ${problem}`)],
      exitCode: EXIT.wrongUsage,
    };
  if (error instanceof UsageError) return one('WRONG_USAGE', error.message, EXIT.wrongUsage);
  if (error instanceof WorkError)
    return { code: 'WORK_FAILED', lines: error.message.split('\n'), exitCode: error.exitCode };
  if (error instanceof TransportError) return explainTransport(error, url);
  if (error instanceof RemoteError) return explainRemote(error);
  if (error instanceof DomainError)
    return one(error.code, error.message, BY_CODE[error.code] ?? EXIT.failed);
  if (error instanceof BadAnswerError)
    return one(
      'BAD_ANSWER',
      `what answers at ${url} doesn't speak as a Fenceline server of this version does`,
      EXIT.failed,
    );
  return one('FAILED', messageOf(error), EXIT.failed);
}

function explainRemote(error: RemoteError): Explained {
  const exitCode = BY_CODE[error.code] ?? EXIT.failed;
  if (error.code === 'UNAUTHENTICATED')
    return one(error.code, 'the server does not know this token: check FENCELINE_TOKEN', exitCode);
  if (error.code === 'FORBIDDEN')
    return one(error.code, `your token's role is not enough: ${error.message}`, exitCode);
  return one(error.code, error.message, exitCode);
}

function explainTransport({ failure, message }: TransportError, url: string): Explained {
  const at = (text: string): Explained => one(failure, text, EXIT.notReachable);
  switch (failure) {
    case 'refused':
      return at(`nothing listens at ${url}: is fenceline-server running there?`);
    case 'unreachable':
    case 'timeout':
      return at(`${url} can't be reached (${message}): check the address and the network`);
    case 'tls':
      return at(
        `the server at ${url} can't be trusted (${message}): check FENCELINE_CA and the name in the URL`,
      );
    case 'aborted':
      return one(failure, 'stopped', EXIT.failed);
    case 'reset':
    case 'other':
      return at(`the connection to ${url} broke (${message}); try again`);
    default:
      return at(`no answer from ${url} (${errorCode(message) ?? message})`);
  }
}

function one(code: string, line: string, exitCode: ExitCode): Explained {
  return { code, lines: [line], exitCode };
}
