import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';

const maker = proofMaker('byPower');

/** What was done to a power device and what it said, in order. */
export interface PowerReading {
  deviceAgent: string;
  /** When the mapping device ↔ host was last confirmed by off, read back, on; null = never. */
  verifiedAt: string | null;
  /** The "off" command was acknowledged. */
  offAcknowledged: boolean;
  /** State as read by a separate call after the "off". */
  readBack: 'on' | 'off' | 'unknown';
  /** Monotonic times; the reading must follow the command. */
  offSentAtMs: number;
  readBackAtMs: number;
  /** The last sign of life of the host that anybody saw, monotonic; undefined = none. */
  lastSignOfLifeMs: number | undefined;
}

/**
 * `powerOff`: the device was told off and *read back* as off afterwards, its mapping to this host
 * is confirmed, and the host showed no sign of life after that.
 */
export function proofByPower(run: Run, reading: PowerReading): Judged {
  // safety: an unproven mapping may have switched off somebody else's host.
  if (reading.verifiedAt === null)
    return { refused: 'the power device was never confirmed to switch this host' };
  // safety: devices acknowledge "off" before, or without, switching; only the reading counts.
  if (reading.readBack !== 'off')
    return { refused: `the power device reads ${reading.readBack} after "off"` };
  if (reading.readBackAtMs < reading.offSentAtMs)
    return { refused: 'the power state was read before "off" was sent' };
  if (reading.lastSignOfLifeMs !== undefined && reading.lastSignOfLifeMs > reading.offSentAtMs)
    return { refused: 'the host showed a sign of life after the power was said to be off' };
  return {
    proof: new FenceProof(maker, {
      kind: 'powerOff',
      run,
      source: `power:${reading.deviceAgent}`,
      facts: {
        readBack: reading.readBack,
        offAcknowledged: reading.offAcknowledged,
        verifiedAt: reading.verifiedAt,
        readBackAfterMs: Math.round(reading.readBackAtMs - reading.offSentAtMs),
      },
    }),
  };
}
