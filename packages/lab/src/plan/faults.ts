import { UsageError } from '../labError.js';
import { plainName } from './names.js';

export type StorageFault =
  { mode: 'ok' | 'hang' | 'rohang' | 'eio' } | { mode: 'slow'; ms: number };

/** What a host's own firewall does to logins. */
export type SshRule = 'drop' | 'reject' | 'unreach' | 'mute';

/** Everything that can be done to a host, and its undoing. */
export type Fault =
  /**
   * sshd: packets dropped, refused by a reset, refused as "no such host" by its own firewall;
   * listener killed, listener stopped. `mute`: the firewall drops everything, only ARP is answered.
   * Or all well again.
   */
  | { kind: 'ssh'; mode: SshRule | 'kill' | 'hang' | 'ok' }
  /** A net's cable: silent loss in both directions; the device keeps its carrier. */
  | { kind: 'net'; net: 'management' | 'storage'; cut: boolean }
  | { kind: 'freeze'; frozen: boolean }
  /** Share of one core for the whole host, in percent; absent: all. */
  | { kind: 'slow'; percent?: number }
  /** Processes and threads the host may have beyond those it has now; absent: no limit. */
  | { kind: 'pids'; room?: number }
  /** No memory is left and nobody is killed for it; or all is well again. */
  | { kind: 'memory'; full: boolean }
  | { kind: 'storage'; fault: StorageFault }
  /** libvirtd killed and not started again, stopped, or running. */
  | { kind: 'libvirtd'; mode: 'off' | 'stop' | 'ok' }
  | { kind: 'power'; on: boolean }
  /** A service killed and not started again, stopped (SIGSTOP), or running. */
  | { kind: 'service'; name: string; mode: 'kill' | 'stop' | 'ok' }
  | { kind: 'clear' };

const simpleFaults: Record<string, Fault> = {
  'ssh-drop': { kind: 'ssh', mode: 'drop' },
  'ssh-reject': { kind: 'ssh', mode: 'reject' },
  'ssh-unreach': { kind: 'ssh', mode: 'unreach' },
  mute: { kind: 'ssh', mode: 'mute' },
  'sshd-kill': { kind: 'ssh', mode: 'kill' },
  'sshd-hang': { kind: 'ssh', mode: 'hang' },
  'ssh-ok': { kind: 'ssh', mode: 'ok' },
  'mgmt-cut': { kind: 'net', net: 'management', cut: true },
  'mgmt-ok': { kind: 'net', net: 'management', cut: false },
  'stor-cut': { kind: 'net', net: 'storage', cut: true },
  'stor-ok': { kind: 'net', net: 'storage', cut: false },
  freeze: { kind: 'freeze', frozen: true },
  thaw: { kind: 'freeze', frozen: false },
  fast: { kind: 'slow' },
  'pids-ok': { kind: 'pids' },
  'memory-full': { kind: 'memory', full: true },
  'memory-ok': { kind: 'memory', full: false },
  'libvirtd-off': { kind: 'libvirtd', mode: 'off' },
  'libvirtd-stop': { kind: 'libvirtd', mode: 'stop' },
  'libvirtd-ok': { kind: 'libvirtd', mode: 'ok' },
  crash: { kind: 'power', on: false },
  boot: { kind: 'power', on: true },
  clear: { kind: 'clear' },
};

/** One line per fault with its opposite, for help texts and the README. */
export const faultList = [
  'ssh-drop | ssh-reject | ssh-unreach | mute         back: ssh-ok',
  'sshd-kill | sshd-hang                              back: ssh-ok',
  'mgmt-cut | stor-cut                                back: mgmt-ok, stor-ok',
  'freeze                                             back: thaw',
  'slow PERCENT (of one core)                         back: fast',
  'pids ROOM (processes beyond those of now)          back: pids-ok',
  'memory-full                                        back: memory-ok',
  'storage hang | rohang | eio | slow MS              back: storage ok',
  'libvirtd-off | libvirtd-stop                       back: libvirtd-ok',
  'crash (power cut)                                  back: boot',
  'service NAME kill | stop                           back: service NAME ok',
  'clear                                              undoes all of them',
] as const;

/**
 * Reads a fault as typed, e.g. `['storage', 'slow', '200']`.
 * @throws UsageError naming what exists.
 */
export function parseFault(words: readonly string[]): Fault {
  const [first = '', second = '', third = '', ...more] = words;
  const simple = Object.hasOwn(simpleFaults, first) ? simpleFaults[first] : undefined;
  if (simple && words.length === 1) return simple;
  const number = (text: string, max: number) => wholeNumber(text, max, words);
  if (first === 'slow' && words.length === 2)
    return { kind: 'slow', percent: number(second, 1000) };
  if (first === 'pids' && words.length === 2) return { kind: 'pids', room: number(second, 4096) };
  if (
    first === 'service' &&
    words.length === 3 &&
    isOneOf(third, ['kill', 'stop', 'ok'] as const)
  ) {
    return { kind: 'service', name: plainName(second, 'service'), mode: third };
  }
  if (first === 'storage' && more.length === 0) {
    if (second === 'slow') {
      return { kind: 'storage', fault: { mode: 'slow', ms: number(third, 60_000) } };
    }
    if (third === '' && isOneOf(second, ['ok', 'hang', 'rohang', 'eio'] as const)) {
      return { kind: 'storage', fault: { mode: second } };
    }
  }
  throw new UsageError(`'${words.join(' ')}' is no fault. There are:\n  ${faultList.join('\n  ')}`);
}

function isOneOf<T extends string>(text: string, values: readonly T[]): text is T {
  return (values as readonly string[]).includes(text);
}

function wholeNumber(text: string, max: number, words: readonly string[]): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value <= max) return value;
  throw new UsageError(`'${words.join(' ')}' needs a whole number from 0 to ${max}.`);
}
