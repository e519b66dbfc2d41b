import type { FenceLineState, FenceNeighbour } from '@fenceline/protocol';
import { dashed, MAX_LINES } from '@fenceline/protocol';
import { FenceLine, type LinePorts } from './fenceLine.js';
import type { StandingLine } from './standingLine.js';

/** The fence lines that this host keeps to its neighbours (F27). */
export interface FenceLines {
  /** Exactly these neighbours from now on; what stays the same is not touched. */
  set(neighbours: readonly FenceNeighbour[]): void;
  states(): FenceLineState[];
  /** A line to that host that takes an order now; undefined: log in anew. */
  lineTo(hostUuid: string): StandingLine | undefined;
  /** Closes all of them; settles when nothing of them runs any more. */
  stop(): Promise<void>;
}

export function makeFenceLines(ports: LinePorts): FenceLines {
  const lines = new Map<string, { laid: string; line: FenceLine }>();
  const ending = new Set<Promise<void>>();
  let stopped = false;
  const drop = (hostUuid: string): void => {
    const done = lines.get(hostUuid)?.line.stop() ?? Promise.resolve();
    lines.delete(hostUuid);
    ending.add(done);
    void done.finally(() => ending.delete(done));
  };
  return {
    set: (neighbours) => {
      if (stopped) return;
      const wanted = new Map(
        neighbours.slice(0, MAX_LINES).map((one) => [dashed(one.hostUuid), one]),
      );
      for (const [hostUuid, { laid }] of [...lines]) {
        const neighbour = wanted.get(hostUuid);
        if (neighbour === undefined || JSON.stringify(neighbour) !== laid) drop(hostUuid);
      }
      for (const [hostUuid, neighbour] of wanted)
        if (!lines.has(hostUuid))
          lines.set(hostUuid, {
            laid: JSON.stringify(neighbour),
            line: new FenceLine(ports, neighbour),
          });
    },
    states: () => [...lines.values()].map(({ line }) => line.state()),
    lineTo: (hostUuid) => lines.get(dashed(hostUuid))?.line.free(),
    stop: async () => {
      stopped = true;
      for (const hostUuid of [...lines.keys()]) drop(hostUuid);
      await Promise.all(ending);
    },
  };
}
