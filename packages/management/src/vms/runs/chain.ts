import {
  brokenAt,
  CHAIN_START,
  entryDigestOf,
  type ChainEntry,
  type ChainLink,
} from '@fenceline/common';
import type { ProofsTable, StartsTable } from '../../store/schema.js';
import { fromJson, type Queryable } from '../../store/store.js';

/** Places that are read at one time. */
const PAGE = 500;

/** What the next place of the chain begins with. */
export interface ChainPlace {
  sequence: number;
  previousDigest: string;
}

/** The place after the last one: proofs and starts stand in one chain. */
export async function nextPlace(on: Queryable): Promise<ChainPlace> {
  const lasts = await Promise.all(
    (['proofs', 'starts'] as const).map((table) =>
      on
        .selectFrom(table)
        .select(['sequence', 'digest'])
        .orderBy('sequence', 'desc')
        .executeTakeFirst(),
    ),
  );
  const last = lasts.reduce((a, b) => ((a?.sequence ?? 0) > (b?.sequence ?? 0) ? a : b));
  return { sequence: (last?.sequence ?? 0) + 1, previousDigest: last?.digest ?? CHAIN_START };
}

/** At most so many places of the chain, from this one on. */
export async function chainFrom(on: Queryable, from: number, most: number): Promise<ChainEntry[]> {
  const proofs = await on
    .selectFrom('proofs')
    .selectAll()
    .where('sequence', '>=', from)
    .orderBy('sequence')
    .limit(most)
    .execute();
  const starts = await on
    .selectFrom('starts')
    .selectAll()
    .where('sequence', '>=', from)
    .orderBy('sequence')
    .limit(most)
    .execute();
  return [...proofs.map(proofEntry), ...starts.map(startEntry)]
    .toSorted((a, b) => a.sequence - b.sequence)
    .slice(0, most);
}

export function linkOf(entry: ChainEntry): ChainLink {
  return { sequence: entry.sequence, bodyDigest: entryDigestOf(entry), digest: entry.digest };
}

function proofEntry({ factsJson, ...proof }: ProofsTable): ChainEntry {
  const { sequence, previousDigest, digest } = proof;
  const facts = fromJson<Record<string, unknown>>(factsJson);
  return { proof: { ...proof, facts }, sequence, previousDigest, digest };
}

function startEntry(start: StartsTable): ChainEntry {
  const { sequence, previousDigest, digest } = start;
  return { start, sequence, previousDigest, digest };
}

/**
 * The first place at which the stored chain is broken, or undefined. Reads all of it, in pages.
 * @throws the signal's reason.
 */
export async function chainBrokenAt(
  on: Queryable,
  signal?: AbortSignal,
): Promise<number | undefined> {
  let before = { sequence: 0, digest: CHAIN_START };
  let places = 0;
  for (;;) {
    signal?.throwIfAborted();
    const page = await chainFrom(on, before.sequence + 1, PAGE);
    const last = page.at(-1);
    if (last === undefined) break;
    const broken = brokenAt(page, before);
    if (broken !== undefined) return broken;
    before = last;
    places += page.length;
  }
  // One more than places: it stands before the first, or at a place that is taken.
  const all = (await countOf(on, 'proofs', before)) + (await countOf(on, 'starts', before));
  return all === places ? undefined : before.sequence;
}

async function countOf(
  on: Queryable,
  table: 'proofs' | 'starts',
  { sequence }: { sequence: number },
): Promise<number> {
  const { count } = await on
    .selectFrom(table)
    .select((eb) => eb.fn.countAll<number>().as('count'))
    // Later ones were stored while the chain was read.
    .where('sequence', '<=', sequence)
    .executeTakeFirstOrThrow();
  return count;
}
