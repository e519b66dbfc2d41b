import type { Caller, Clock, Logger } from '@fenceline/common';
import { DomainError } from '@fenceline/protocol';
import { makeLoginLimit } from './loginLimit.js';
import type { Tokens } from './tokens.js';

/** What a call shows of its caller. */
export interface Credentials {
  /** The `Authorization` header. */
  authorization: string | undefined;
  /** Where the call comes from. */
  address: string;
}

/**
 * Who calls; undefined: nobody known.
 * @throws DomainError TOO_MANY_REQUESTS after many failures from one address.
 */
export type Identify = (credentials: Credentials) => Promise<Caller | undefined>;

export function makeIdentify(tokens: Tokens, clock: Clock, log: Logger): Identify {
  const limit = makeLoginLimit();
  return async ({ authorization, address }) => {
    const token = /^Bearer +(\S{1,512})$/i.exec(authorization ?? '')?.[1];
    const caller = token === undefined ? undefined : await tokens.find(token);
    if (caller !== undefined) return caller;
    const tooMany = limit.failed(address, clock.monotonicMs());
    log.debug('a login failed', { address, tooMany });
    if (tooMany)
      throw new DomainError(
        'TOO_MANY_REQUESTS',
        'too many calls without a valid token from this address; wait a minute',
      );
    return undefined;
  };
}
