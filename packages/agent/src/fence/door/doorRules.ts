import { programArguments, type ProgramSettings } from '../programCommand.js';
import type { BackgroundProgram, FoundProgram } from './background.js';

/** Guests that the fence program serves at one time through the door. */
const WORKERS = 4;

export interface DoorSettings {
  program: ProgramSettings;
  /** TCP, 1 to 65535. */
  port: number;
  /** Where it listens; `::` is every address of both kinds. */
  address: string;
  /** Paths of the agent's TLS identity. */
  tls: { ca: string; cert: string; key: string };
  /** Where the two programs are installed. */
  files: { fence: string; door: string };
}

/** What runs behind the door: the fence program at its local socket. */
export function listenerProgram(
  { program, files }: DoorSettings,
  orders: { orderTokens: boolean },
): BackgroundProgram {
  const args = ['--listen', String(WORKERS), ...programArguments(program, orders)];
  return { name: 'fence-listener', file: files.fence, args, mark: '-' };
}

/** The door itself. @param mark digest of the TLS files: it reads them only when it starts */
export function doorProgram(
  { program, port, address, tls, files }: DoorSettings,
  mark: string,
): BackgroundProgram {
  const where = ['--port', String(port), '--address', address];
  const identity = ['--ca', tls.ca, '--cert', tls.cert, '--key', tls.key];
  const args = [...where, ...identity, '--socket', `${program.runDir}/fence.sock`];
  return { name: 'fence-door', file: files.door, args, mark };
}

/** Where the door listens if its own setting says nothing: at the agent's address, if that is one. */
export function doorAddress(own: string | undefined, agent: readonly string[]): string {
  const [only, ...more] = agent;
  if (own !== undefined) return own;
  const isOne = only !== undefined && more.length === 0 && LIKE_IP.test(only);
  return isOne ? only : '::';
}

/** A name may mean several addresses. */
const LIKE_IP = /:|^[\d.]+$/;

/** May this one go on in place of the wanted one? */
export function fits(found: FoundProgram, wanted: BackgroundProgram): boolean {
  return (
    found.isInstalled &&
    found.mark === wanted.mark &&
    found.args.length === wanted.args.length &&
    found.args.every((word, place) => word === wanted.args[place])
  );
}

/**
 * Do orders through the door need a token? As the server said at the last connect; before one, as
 * what already runs does.
 */
export function asksForTokens(wish: boolean | undefined, found: FoundProgram | undefined): boolean {
  // safety: F29a: as long as nobody has said that none is needed, one is
  return wish ?? found?.args.includes('--tokens') ?? true;
}
