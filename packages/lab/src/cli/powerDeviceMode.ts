import { UsageError } from '../labError.js';
import { plugOf } from '../plan/plugs.js';
import type { PowerDeviceMode } from '../requests.js';

/** Reads `dead`, `lying`, `slow MS`, `stuck OUTLET` or `ok`. */
export function powerDeviceMode(words: readonly string[]): PowerDeviceMode {
  const [mode, ms = '', ...more] = words;
  if (mode === 'slow' && /^\d{1,6}$/.test(ms) && more.length === 0) return { mode, ms: Number(ms) };
  if (mode === 'stuck' && words.length === 2) {
    plugOf(ms);
    return { mode, plug: ms };
  }
  if ((mode === 'ok' || mode === 'dead' || mode === 'lying') && words.length === 1) return { mode };
  throw new UsageError(
    `The power device can be dead, lying, slow MS, stuck OUTLET or ok, not '${words.join(' ')}'.`,
  );
}
