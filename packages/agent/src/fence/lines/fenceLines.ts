import type { FenceLineState, FenceNeighbour, LineWay } from '@fenceline/protocol';
import { dashed, MAX_NEIGHBOURS } from '@fenceline/protocol';
import { FenceLine, type LinePorts } from './fenceLine.js';
import type { StandingLine } from './standingLine.js';

/** The fence lines that this host keeps to its neighbours (F27). */
export interface FenceLines {
  /** Exactly these neighbours from now on; what stays the same is not touched. */
  set(neighbours: readonly FenceNeighbour[]): void;
  states(): FenceLineState[];
  /**
   * The lines to that host that take an order now, those first that answer, of those SSH before the
   * door; none: log in anew.
   */
  linesTo(hostUuid: string): StandingLine[];
  /** Closes all of them; settles when nothing of them runs any more. */
  stop(): Promise<void>;
}

interface Laid {
  hostUuid: string;
  /** What it was laid by: a change makes it another line. */
  by: string;
  line: FenceLine;
}

export function makeFenceLines(ports: LinePorts): FenceLines {
  const lines = new Map<string, Laid>();
  const ending = new Set<Promise<void>>();
  let stopped = false;
  const drop = (name: string): void => {
    const done = lines.get(name)?.line.stop() ?? Promise.resolve();
    lines.delete(name);
    ending.add(done);
    void done.finally(() => ending.delete(done));
  };
  return {
    set: (neighbours) => {
      if (stopped) return;
      const wanted = new Map(neighbours.slice(0, MAX_NEIGHBOURS).flatMap(wishesOf));
      for (const [name, { by }] of [...lines]) if (wanted.get(name)?.by !== by) drop(name);
      for (const [name, { neighbour, way, by }] of wanted)
        if (!lines.has(name)) {
          const line = new FenceLine(ports, neighbour, way);
          lines.set(name, { hostUuid: dashed(neighbour.hostUuid), by, line });
        }
    },
    states: () => [...lines.values()].map(({ line }) => line.state()),
    linesTo: (hostUuid) => {
      const to = [...lines.values()].filter((one) => one.hostUuid === dashed(hostUuid));
      return to
        .map(({ line }) => line)
        .toSorted((a, b) => placeOf(a) - placeOf(b))
        .flatMap((line) => line.free() ?? []);
    },
    stop: async () => {
      stopped = true;
      for (const name of [...lines.keys()]) drop(name);
      await Promise.all(ending);
    },
  };
}

interface Wish {
  neighbour: FenceNeighbour;
  way: LineWay;
  by: string;
}

/** A line over each way that leads to the neighbour, by name. */
function wishesOf(neighbour: FenceNeighbour): [string, Wish][] {
  const { addresses, sshPort, username, hostKeys, doorPort } = neighbour;
  const wish = (way: LineWay, by: unknown[]): [string, Wish] => [
    `${dashed(neighbour.hostUuid)} ${way}`,
    { neighbour, way, by: JSON.stringify(by) },
  ];
  const ssh = wish('ssh', [addresses, sshPort, username, hostKeys]);
  return doorPort === undefined ? [ssh] : [ssh, wish('door', [addresses, doorPort])];
}

function placeOf({ answers, way }: FenceLine): number {
  return (answers ? 0 : 2) + (way === 'ssh' ? 0 : 1);
}
