import type { Clock, Secret, StreamTransport } from '@fenceline/common';
import type { Transport } from '@fenceline/protocol';

/** Where the server is and how to show who calls. */
export interface Connection {
  url: string;
  /** PEM text of the CA that signed the server's certificate. */
  ca: string;
  token: Secret;
}

/** What the command line needs of the machine that it runs on. */
export interface World {
  environment: Readonly<Record<string, string | undefined>>;
  /** Home of the user: `~` of paths. */
  home: string;
  /** @throws an error with `code` ENOENT, EACCES … */
  readText(path: string): string;
  /** Replaces the file. @throws an error with `code` ENOENT, EACCES … */
  writeText(path: string, text: string): void;
  connect(connection: Connection): Transport & StreamTransport;
  /** One line to standard output. */
  out(line: string): void;
  /** One line to standard error. */
  err(line: string): void;
  /** Standard output is a terminal: colours may be used. */
  terminal: boolean;
  /** Asks a person; undefined if there is nobody to ask. */
  ask: ((question: string) => Promise<string>) | undefined;
  clock: Clock;
  /** Fires when the person wants to stop (Ctrl-C). */
  signal: AbortSignal;
}
