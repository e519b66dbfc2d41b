import { judgePower, type PowerDeviceReading } from '@fenceline/common';
import type { Run } from '../../vms/runs/run.js';
import { FenceProof, proofMaker, type Judged } from '../proof.js';

const maker = proofMaker('byPower');

/** One device of the level that was tried, with monotonic times. */
export interface DeviceReading {
  agent: string;
  /** When the mapping device ↔ host was last confirmed by a drill; null = never. */
  verifiedAt: string | null;
  /** The "off" command was acknowledged. */
  offAcknowledged: boolean;
  offSentAtMs: number;
  /** When a reading that said off was first asked for; undefined: none did. */
  firstOffAtMs: number | undefined;
  /** The last reading, by a call of its own after every device's "off". */
  readBack: 'on' | 'off' | 'unknown';
  readBackAtMs: number;
}

/** What was done to the power devices of one level and what they said. */
export interface PowerReading {
  level: number;
  devices: readonly DeviceReading[];
  /** The last sign of life of the host that anybody saw, monotonic; undefined = none. */
  lastSignOfLifeMs: number | undefined;
}

/** `powerOff`, if every feed of the host was off at one moment. */
export function proofByPower(run: Run, reading: PowerReading): Judged {
  const beganMs = Math.min(...reading.devices.map(({ offSentAtMs }) => offSentAtMs));
  const { level, lastSignOfLifeMs } = reading;
  const facts = {
    level,
    devices: reading.devices.map((device) => factsOf(device, beganMs)),
    // Rounded up: a sign of life after "off" never becomes one before it.
    lastSignOfLifeAfterMs:
      lastSignOfLifeMs === undefined ? null : Math.ceil(lastSignOfLifeMs - beganMs),
  };
  const ruling = judgePower(facts);
  if ('refused' in ruling) return ruling;
  const source = `power:${reading.devices.map(({ agent }) => agent).join('+')}`;
  return { proof: new FenceProof(maker, { kind: ruling.kind, run, source, facts }) };
}

/** Times from the first "off" on: a monotonic clock of a server that is gone says nothing. */
function factsOf(device: DeviceReading, beganMs: number): PowerDeviceReading {
  const { agent, verifiedAt, offAcknowledged, readBack, firstOffAtMs } = device;
  const since = (atMs: number): number => Math.round(atMs - beganMs);
  return {
    ...{ agent, verifiedAt, offAcknowledged, readBack },
    offSentAfterMs: since(device.offSentAtMs),
    firstOffAfterMs: firstOffAtMs === undefined ? null : since(firstOffAtMs),
    readBackAfterMs: since(device.readBackAtMs),
  };
}
