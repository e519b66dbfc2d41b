import { agentRoutes } from '@fenceline/protocol';
import { interleave, type Side } from '../interleave.js';
import { Measured, type Benchmark, type Goal } from '../result.js';
import { BenchSite, type BenchHost } from '../site/site.js';
import { targetOf } from '../site/target.js';
import { ratio } from '../statistics.js';
import { FakeVms, type Storage } from './fakeVms.js';

const ALL = 500;
/** Generous: what is slow is to be seen, not cut off. */
const TIMEOUT_SEC = 120;
/** An argument of the agent's process, by which its memory is found. */
const AGENT = '/agent/dist/main.js';

const ALONE = 'one, alone on the host';
const among = (count: number): string => `${count} of ${ALL}`;
/** The same with disks of which the host knows more than a process behind FUSE tells it. */
const onLocal = (label: string): string => `${label}, disks on the host's own`;
const MEMORY = `peer's memory at its peak, ${among(ALL)} / ${among(1)}`;

const goals: readonly Goal[] = [
  { ratio: `${among(1)} / ${ALONE}`, atMost: 1.5 },
  { ratio: `${among(ALL)} / ${among(1)}`, atMost: 2 },
  { ratio: MEMORY, atMost: 1.1 },
];

interface BatchBench {
  readonly site: BenchSite;
  readonly suspect: BenchHost;
  readonly peer: BenchHost;
  readonly control: BenchHost;
  readonly vms: FakeVms;
}

/** Most memory that the peer's agent had during a call, by side. */
type Peaks = Map<string, number[]>;

/**
 * Fences some or all of 500 processes that look like qemu, with command lines of 4 KiB, in one command and
 * one session (F17). All 500 are there in every case but the first, so that what is measured is the order.
 */
export const benchBatch: Benchmark = {
  usualRuns: 10,
  goals,
  run: async (runs, tell) => {
    const site = await BenchSite.up(tell);
    try {
      const [suspect, peer, control] = [site.at(1), site.at(2), site.at(3)];
      const vms = await FakeVms.prepare(site, suspect);
      const bench = { site, suspect, peer, control, vms };
      tell('a round that is not counted');
      await interleave(sidesOf(bench, new Measured(), new Map()), 1, () => undefined);
      const [measured, peaks] = [new Measured(), new Map<string, number[]>()];
      await interleave(sidesOf(bench, measured, peaks), runs, tell);
      return { measured, ratios: ratiosOf(measured, peaks) };
    } finally {
      await site.down();
    }
  },
};

/** So many are there, so many of them are fenced. */
interface Case {
  readonly label: string;
  readonly present: number;
  readonly fenced: number;
  readonly storage: Storage;
}

function sidesOf(bench: BatchBench, measured: Measured, peaks: Peaks): Side[] {
  const side = (label: string, vms: Omit<Case, 'label'>): Side => ({
    label,
    once: () => once(bench, { ...vms, label, measured, peaks }),
  });
  const storage = 'shared';
  const local = (fenced: number): Side =>
    side(onLocal(among(fenced)), { present: ALL, fenced, storage: 'local' });
  return [
    side(ALONE, { present: 1, fenced: 1, storage }),
    ...[1, 10, 100, ALL].map((fenced) => side(among(fenced), { present: ALL, fenced, storage })),
    local(1),
    local(ALL),
  ];
}

async function once(
  { site, suspect, peer, control, vms }: BatchBench,
  what: Case & { measured: Measured; peaks: Peaks },
): Promise<void> {
  const { label, present, fenced, storage, measured, peaks } = what;
  const order = await vms.run(present, fenced, storage);
  const orderToken = await site.newToken(suspect);
  await memoryOf(peer);
  // libvirt knows none of them, so there is no clean end to wait for, and a wait would hide the work.
  const limits = { sshTimeoutSec: TIMEOUT_SEC, killGraceMs: 0 };
  const target = { ...targetOf(suspect, control), ...limits, orderToken };
  const command = { ...target, vms: order };
  const { ms, rsp } = await site.call(peer, { route: agentRoutes.fenceVms, command });
  const { peakKiB = 0 } = await memoryOf(peer);
  const wrong = rsp.verdicts.filter(({ outcome }) => outcome !== 'confirmedDead');
  if (rsp.verdicts.length !== fenced || wrong.length > 0)
    throw new Error(`${rsp.verdicts.length} verdicts, not dead: ${JSON.stringify(wrong[0] ?? {})}`);
  const left = await vms.living();
  if (left !== present - fenced) throw new Error(`${left} live, not ${present - fenced}`);
  measured.add(label, ms);
  for (const stage of rsp.stages) measured.add(`${label}: ${stage.name}`, stage.ms);
  peaks.set(label, [...(peaks.get(label) ?? []), peakKiB]);
}

/** Also begins to count the peak anew. */
function memoryOf({ helper }: BenchHost): ReturnType<BenchHost['helper']['do']> {
  return helper.do({ do: 'memory', argument: AGENT });
}

function ratiosOf(measured: Measured, peaks: Peaks): Record<string, number> {
  const of = (upper: string, lower: string): [string, number] => [
    `${upper} / ${lower}`,
    ratio(measured.summary(upper), measured.summary(lower)),
  ];
  const most = (label: string): number => Math.max(...(peaks.get(label) ?? []));
  return Object.fromEntries([
    of(among(1), ALONE),
    of(among(ALL), among(1)),
    of(among(ALL), ALONE),
    of(onLocal(among(ALL)), onLocal(among(1))),
    [MEMORY, Number((most(among(ALL)) / most(among(1))).toPrecision(3))],
  ]);
}
