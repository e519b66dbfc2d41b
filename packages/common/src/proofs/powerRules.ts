import type { Ruling } from './lookRules.js';

/** One device of a level: what it was told and what it read, ms after the first "off" was sent. */
export interface PowerDeviceReading {
  /** The fence-agents program. */
  agent: string;
  /** When the mapping device ↔ host was last confirmed by a drill; null = never. */
  verifiedAt: string | null;
  /** The "off" command was acknowledged. */
  offAcknowledged: boolean;
  offSentAfterMs: number;
  /** When it was first read as off; null: never. */
  firstOffAfterMs: number | null;
  /** The last reading, and when it was asked for. */
  readBack: 'on' | 'off' | 'unknown';
  readBackAfterMs: number;
}

/** What was done to the power devices of one host, and what they said. */
export interface PowerFacts {
  /** The level of the host's topology that was used, from 1. */
  level: number;
  /** Every device of that level: the host lives on as long as one of them feeds it. */
  devices: readonly PowerDeviceReading[];
  /** The last sign of life of the host, relative as the readings are; null: none is known. */
  lastSignOfLifeAfterMs: number | null;
}

/**
 * `powerOff`: every device of one level was told off and *read back* as off at one moment, that is
 * after the last of them had turned off; each one's mapping to this host is confirmed; and the
 * host showed no sign of life after that.
 */
export function judgePower(facts: PowerFacts): Ruling<'powerOff'> {
  const { devices, lastSignOfLifeAfterMs } = facts;
  // safety: "all of none" is no reading.
  if (devices.length === 0) return { refused: 'no power device was read' };
  // safety: an unproven mapping may have switched off somebody else's host.
  if (devices.some(({ verifiedAt }) => verifiedAt === null))
    return { refused: 'the power device was never confirmed to switch this host' };
  // safety: devices acknowledge "off" before, or without, switching; only the reading counts, and
  // one feed that is left keeps the host alive.
  const left = devices.find(({ readBack }) => readBack !== 'off');
  if (left !== undefined)
    return { refused: `the power device${ofMany(facts, left)} reads ${left.readBack} after "off"` };
  if (devices.some(readTooEarly))
    return { refused: 'the power state was read before "off" was sent' };
  // safety: a feed that was read off and came back while the others went off never left the host
  // without power; so all are read after the last one's "off".
  const lastOff = Math.max(...devices.map(({ firstOffAfterMs }) => firstOffAfterMs ?? Infinity));
  const early = devices.find(({ readBackAfterMs }) => readBackAfterMs < lastOff);
  if (early !== undefined)
    return {
      refused: `the power device${ofMany(facts, early)} was not read again after the last one was off`,
    };
  const firstSent = Math.min(...devices.map(({ offSentAfterMs }) => offSentAfterMs));
  if (lastSignOfLifeAfterMs !== null && lastSignOfLifeAfterMs > firstSent)
    return { refused: 'the host showed a sign of life after the power was said to be off' };
  return { kind: 'powerOff' };
}

function readTooEarly(reading: PowerDeviceReading): boolean {
  const { firstOffAfterMs, offSentAfterMs, readBackAfterMs } = reading;
  return (
    firstOffAfterMs === null ||
    firstOffAfterMs < offSentAfterMs ||
    readBackAfterMs < firstOffAfterMs
  );
}

/** Which one, where there are several. */
function ofMany({ level, devices }: PowerFacts, device: PowerDeviceReading): string {
  if (devices.length === 1) return '';
  return ` ${devices.indexOf(device) + 1} (${device.agent}) of level ${level}`;
}
