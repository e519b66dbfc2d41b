import { connect, isIP } from 'node:net';
import { sleep, type Clock } from '@fenceline/common';
import { parseNeighbour, parseRouteGet, signOfEntry } from '../parseIp.js';
import type { AddressSigns, NeighbourSign, SignsOfLife, TcpSign, Way } from '../signsOfLife.js';
import { failureOfErrno } from './connectFirst.js';
import { runTool } from './runTool.js';

interface Look {
  clock: Clock;
  /** Monotonic. */
  untilMs: number;
  signal: AbortSignal;
}

const PROBE_EVERY_MS = 200;
const LAST_LOOK_MS = 300;
/** `ping` counts in whole seconds; its own end is a second late at most. */
const PING_EVERY_S = '0.5';

/** TCP through sockets, ICMP through `ping`, neighbour table and routes through `ip -j`. */
export function systemSigns(clock: Clock): SignsOfLife {
  return {
    look: ({ addresses, ports }, { withinMs, signal }) => {
      const look = { clock, untilMs: clock.monotonicMs() + withinMs, signal };
      return Promise.all(addresses.map((address) => lookAt(address, ports, look)));
    },
  };
}

async function lookAt(
  address: string,
  ports: readonly number[],
  look: Look,
): Promise<AddressSigns> {
  const [tcp, icmp, { way, neighbour }] = await Promise.all([
    Promise.all(ports.map(async (port) => ({ port, sign: await tcpSign(address, port, look) }))),
    pingSign(address, look),
    neighbourSign(address, look),
  ]);
  return { address, way, tcp, icmp, neighbour };
}

function leftMs({ clock, untilMs }: Look): number {
  return Math.max(1, untilMs - clock.monotonicMs());
}

function tcpSign(address: string, port: number, look: Look): Promise<TcpSign> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const finish = (sign: TcpSign): void => {
      timer.cancel();
      look.signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(sign);
    };
    const onAbort = (): void => finish('unknown');
    const timer = look.clock.after(leftMs(look), () => finish('silent'));
    look.signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => finish('accepted'));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(signOfErrno(error.code)));
    if (look.signal.aborted) onAbort();
  });
}

function signOfErrno(code: string | undefined): TcpSign {
  const failure = failureOfErrno(code);
  switch (failure) {
    case 'hostUnreachable':
    case 'netUnreachable':
    case 'refused':
      return failure;
    case 'dropped':
      // A reset in the middle of the handshake came from somebody.
      return 'refused';
    case 'connectTimeout':
      return 'silent';
    default:
      return 'unknown';
  }
}

async function pingSign(address: string, look: Look): Promise<AddressSigns['icmp']> {
  if (isIP(address) === 0) return 'unknown';
  const ms = leftMs(look);
  const seconds = String(Math.max(1, Math.floor(ms / 1_000)));
  const args = ['-n', '-q', '-c', '1', '-i', PING_EVERY_S, '-w', seconds, address];
  const { code } = await runTool('ping', args, { ms, signal: look.signal });
  if (code === 0) return 'reply';
  // 1: no reply in time; anything else: it could not ask.
  return code === 1 ? 'silent' : 'unknown';
}

/**
 * Forces a probe and watches the entry to the end: INCOMPLETE counts only if it is still so then,
 * and an entry under probe needs 3 s to become FAILED.
 */
async function neighbourSign(
  address: string,
  look: Look,
): Promise<{ way: Way | undefined; neighbour: NeighbourSign }> {
  if (isIP(address) === 0) return { way: undefined, neighbour: 'unknown' };
  const route = await runTool('ip', ['-j', 'route', 'get', address], toolLimits(look));
  const way = parseRouteGet(route.stdout);
  if (way === undefined || way.gateway !== undefined) return { way, neighbour: 'unknown' };
  const entry = [address, 'dev', way.device];
  let probed = false;
  for (;;) {
    const last = look.signal.aborted || look.clock.monotonicMs() >= look.untilMs;
    const show = await runTool('ip', ['-j', 'neigh', 'show', 'to', ...entry], toolLimits(look));
    const seen = parseNeighbour(show.stdout);
    const neighbour = signOfEntry(seen, probed);
    if (last || neighbour === 'reachable') return { way, neighbour };
    // An entry that failed is asked again by the packets of the other looks, from its beginning.
    if (!probed && seen !== 'failed') {
      const change = ['neigh', 'change', ...entry, 'nud', 'probe'];
      probed = (await runTool('ip', change, toolLimits(look))).code === 0;
    }
    const ms = Math.min(PROBE_EVERY_MS, leftMs(look));
    await sleep(look.clock, ms, look.signal).catch(() => undefined);
  }
}

/** The last look at the table is taken when the time is over, and may take a moment itself. */
function toolLimits(look: Look): { ms: number; signal: AbortSignal } {
  return { ms: leftMs(look) + LAST_LOOK_MS, signal: look.signal };
}
