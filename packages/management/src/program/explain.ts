import { ConfigError, errorCode, isError, messageOf } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import type { ServerConfig } from '../config.js';
import { StoreError } from '../store/store.js';

export const EXIT = { done: 0, failed: 1, wrongUsage: 2 } as const;

/** Why the server did not start: a sentence or two for a person, and the exit code. */
export interface Explained {
  lines: string[];
  exitCode: number;
  /** True for what nobody foresaw: its stack belongs in the log. */
  defect: boolean;
}

/** Says what is wrong and what to do; never a stack trace. */
export function explainStart(error: unknown, config?: ServerConfig): Explained {
  if (error instanceof ConfigError)
    return wrongUsage([`${error.source}:`, ...error.problems.map((problem) => `  ${problem}`)]);
  if (error instanceof StoreError) return failed(error.message);
  if (error instanceof DomainError)
    return failed(
      `what is stored no longer fits the configuration: ${error.message}. ` +
        'Change the file so that both fit.',
    );
  const listen = config === undefined ? undefined : explainListen(error, config);
  if (listen !== undefined) return failed(listen);
  const tls = explainTls(error);
  if (tls !== undefined) return failed(tls);
  return {
    lines: [`the server can't start: ${messageOf(error)}. The log has the details.`],
    exitCode: EXIT.failed,
    defect: true,
  };
}

function explainListen(error: unknown, { server }: ServerConfig): string | undefined {
  const where = `port ${server.port} of ${server.address}`;
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return `${where} is in use by another program; stop it, or set another server.port.`;
    case 'EADDRNOTAVAIL':
      return `${server.address} is no address of this machine; set server.address to one of its own.`;
    case 'EACCES':
      return `this user may not listen on ${where}; set a server.port above 1023.`;
    case 'EAFNOSUPPORT':
      return `this machine has no address of the kind of ${server.address}; set server.address.`;
    default:
      return undefined;
  }
}

function explainTls(error: unknown): string | undefined {
  const message = messageOf(error);
  if (message.startsWith("can't use the TLS files")) return `${message}; see the section tls.`;
  if (/can't read the TLS file|is not a PEM file/.test(message))
    return `${message}; put the file there, or name another one in the section tls.`;
  if (isError(error) && /^ERR_(?:OSSL|SSL|TLS|CRYPTO)/.test(errorCode(error) ?? ''))
    return (
      `the TLS files of the section tls can't be used (${errorCode(error)}); ` +
      'check that certificate and key belong together.'
    );
  return undefined;
}

function failed(line: string): Explained {
  return { lines: [line], exitCode: EXIT.failed, defect: false };
}

function wrongUsage(lines: string[]): Explained {
  return { lines, exitCode: EXIT.wrongUsage, defect: false };
}
