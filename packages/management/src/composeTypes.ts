import type { Logger, Secret, TlsFiles } from '@fenceline/common';
import type { ServerConfig } from './config.js';

/** What `main.ts` has read and checked before anything is built. */
export interface ComposeOptions {
  config: ServerConfig;
  log: Logger;
  tls: {
    /** Shown to people and programs that call the API. */
    api: TlsFiles;
    /** The server's client identity towards agents, and the CA that signed them. */
    agents: TlsFiles;
  };
  /** Makes a new admin token although there are tokens already (all others stay valid). */
  newAdminToken: boolean;
}

/** A running server. */
export interface Server {
  /** Where the API listens. */
  readonly port: number;
  /** Present only if an admin token was made at this start; shown once by `main.ts`. */
  readonly adminToken?: Secret;
  /** Stops in reverse order of building; safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Builds everything top-down and starts it; on failure releases what was built.
 * @throws StoreError (LOCKED, CORRUPT, FULL, UNSAFE, UNREADABLE), ConfigError (stored settings
 *   that no longer fit), or an Error with `code` EADDRINUSE, EACCES … if it can't listen.
 */
export type ComposeServer = (options: ComposeOptions) => Promise<Server>;
