import { DomainError, MAX_PAGE, type PageQuery } from '@fenceline/protocol';

const DEFAULT_PAGE = 100;

/** Where a page begins: the sort keys of the last item before it. */
export type CursorKeys = readonly (string | number)[];

export interface PageAsk {
  limit: number;
  after: CursorKeys | undefined;
}

/** @throws DomainError BAD_INPUT if the cursor is none of ours. */
export function pageAsk(query: PageQuery, keyCount: number): PageAsk {
  const limit = Math.min(query.limit ?? DEFAULT_PAGE, MAX_PAGE);
  return { limit, after: query.cursor === undefined ? undefined : read(query.cursor, keyCount) };
}

/** Cuts what was read with `limit + 1` into a page and the cursor of the next one. */
export function pageOf<Row, View>(
  rows: readonly Row[],
  ask: PageAsk,
  { keys, view }: { keys: (row: Row) => CursorKeys; view: (row: Row) => View },
): { items: View[]; nextCursor?: string } {
  const items = rows.slice(0, ask.limit);
  const last = items.at(-1);
  const more = rows.length > ask.limit && last !== undefined;
  return {
    items: items.map(view),
    ...(more ? { nextCursor: Buffer.from(JSON.stringify(keys(last))).toString('base64url') } : {}),
  };
}

function read(cursor: string, keyCount: number): CursorKeys {
  try {
    const keys: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(keys) && keys.length === keyCount && keys.every(isKey)) return keys;
  } catch {
    // Falls through to the refusal.
  }
  throw new DomainError('BAD_INPUT', 'cursor: must be the nextCursor of the page before');
}

function isKey(key: unknown): key is string | number {
  return typeof key === 'string' || typeof key === 'number';
}
