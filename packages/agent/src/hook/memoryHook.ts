import type { HookWorld, ProbeEnd } from './hookPorts.js';

/** A hook in memory, for tests and simulated hosts; every part of it can be broken. */
export interface MemoryHook extends HookWorld {
  /** The hook's file is what it should be. */
  inPlace: boolean;
  /** libvirt's daemon knows of the hook. */
  known: boolean;
  /** A daemon runs, and can be told. */
  daemon: boolean;
  disk: string | undefined;
  memory: string | undefined;
  /** What happened, in order. */
  readonly trace: string[];
  /** In place of what libvirt says to a probe. */
  answer: ((name: string) => ProbeEnd) | undefined;
}

export function memoryHook(probeEveryMs = 60_000): MemoryHook {
  const trace: string[] = [];
  const hook: MemoryHook = {
    ...{ inPlace: true, known: true, daemon: true, disk: undefined, memory: undefined },
    trace,
    answer: undefined,
    probeEveryMs,
    file: {
      install: async () => {
        const changed = !hook.inPlace;
        if (changed) trace.push('install');
        hook.inPlace = true;
        return changed;
      },
    },
    lists: {
      keep: async (list) => {
        trace.push('keep');
        hook.disk = list;
      },
      kept: async () => hook.disk,
      offer: async (list) => {
        if (hook.memory !== list) trace.push('offer');
        hook.memory = list;
      },
    },
    caller: {
      probe: async (name) => {
        trace.push('probe');
        return hook.answer?.(name) ?? answerOf(hook, name);
      },
      hangUp: async () => {
        if (!hook.daemon) return false;
        trace.push('hangUp');
        hook.known = true;
        return true;
      },
    },
  };
  return hook;
}

function answerOf({ inPlace, known }: MemoryHook, name: string): ProbeEnd {
  if (!inPlace || !known) return { started: true, said: '' };
  const nonce = name.split('-').at(-1) ?? '';
  return {
    started: false,
    said: `error: exit status 1: Fenceline: hook 1 refuses probe ${nonce}\n`,
  };
}
