import { dashed, DomainError, isUuid, type ErrorFacts } from '@fenceline/protocol';
import type { Queryable } from '../../store/store.js';

type Named = 'clusters' | 'hosts' | 'vms' | 'tokens';

const NOUNS: Record<Named, string> = {
  clusters: 'cluster',
  hosts: 'host',
  vms: 'VM',
  tokens: 'token',
};

/** What a uuid or a unique name stands for. */
export interface Found {
  uuid: string;
  name: string;
}

/**
 * Finds a row by uuid (dashed or 32 hex) or by name.
 * @throws DomainError NOT_FOUND; CONFLICT if several bear the name, with their uuids.
 */
export async function find(on: Queryable, table: Named, ref: string): Promise<Found> {
  const noun = NOUNS[table];
  const byUuid: boolean = isUuid(ref);
  if (byUuid) {
    const row = await on
      .selectFrom(table)
      .select(['uuid', 'name'])
      .where('uuid', '=', dashed(ref))
      .executeTakeFirst();
    if (row !== undefined) return row;
    throw notFound(noun, `with uuid ${dashed(ref)}`, { uuid: dashed(ref) });
  }
  const rows = await on
    .selectFrom(table)
    .select(['uuid', 'name'])
    .where('name', '=', ref)
    .orderBy('uuid')
    .limit(10)
    .execute();
  const [only, ...others] = rows;
  if (only === undefined) throw notFound(noun, `named ${ref}`, { name: ref });
  if (others.length === 0) return only;
  const uuids = rows.map(({ uuid }) => uuid).join(', ');
  throw new DomainError(
    'CONFLICT',
    `several ${noun}s are named ${ref}; say which by uuid: ${uuids}`,
  );
}

function notFound(noun: string, which: string, facts: ErrorFacts): DomainError {
  const list = `fenceline ${noun.toLowerCase()} list`;
  return new DomainError('NOT_FOUND', `there is no ${noun} ${which}; see: ${list}`, facts);
}

/** The same for a filter that may be absent. */
export async function findOptional(
  on: Queryable,
  table: Named,
  ref: string | undefined,
): Promise<string | undefined> {
  return ref === undefined ? undefined : (await find(on, table, ref)).uuid;
}
