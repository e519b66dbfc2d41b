import { DomainError } from '@fenceline/protocol';
import { errnoOf } from '../errno.js';

/** What can go wrong at start, as a sentence that says what to do. */
export function listenProblem(error: unknown, where: { address: string; port: number }): Error {
  const code = errnoOf(error);
  const at = `${where.address} port ${where.port}`;
  const sentences: Record<string, string> = {
    EADDRINUSE: `${at} is in use by another program: stop it or set agent.port`,
    EADDRNOTAVAIL: `${where.address} is no address of this host: set agent.listen`,
    EACCES: `not allowed to listen at ${at}: start as root or set agent.port above 1023`,
    EAFNOSUPPORT: `this host can't use the address family of ${where.address}: set agent.listen`,
  };
  const known = sentences[code] ?? `can't listen at ${at} (${code === '' ? String(error) : code})`;
  return new DomainError('INTERNAL', known, { code });
}
