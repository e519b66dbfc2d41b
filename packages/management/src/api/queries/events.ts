import { didYouMean, nearNames } from '@fenceline/common';
import {
  DomainError,
  EVENT_KINDS,
  type EventPage,
  type EventView,
  type ListEventsRequest,
  type ViewFacts,
} from '@fenceline/protocol';
import type { ExpressionBuilder } from 'kysely';
import type { Database } from '../../store/schema.js';
import type { FenceEvent } from '../../telemetry/events.js';
import { fromJson, type Queryable } from '../../store/store.js';
import { findOptional } from './lookup.js';
import { pageAsk, pageOf } from './paging.js';

const AT_LEAST = {
  info: ['info', 'warning', 'critical'],
  warning: ['warning', 'critical'],
  critical: ['critical'],
} as const;

/** Newest first; with `after` oldest first. `cursor` goes on in the same direction. */
export async function listEvents(on: Queryable, query: ListEventsRequest): Promise<EventPage> {
  const ask = pageAsk(query, 1);
  const host = await findOptional(on, 'hosts', query.host);
  const vm = await findOptional(on, 'vms', query.vm);
  const forward = query.after !== undefined;
  let rows = on
    .selectFrom('events')
    .selectAll()
    .orderBy('id', forward ? 'asc' : 'desc')
    .limit(ask.limit + 1);
  if (query.after !== undefined) rows = rows.where('id', '>', query.after);
  const from = ask.after?.[0];
  if (from !== undefined) rows = rows.where('id', forward ? '>' : '<', Number(from));
  if (query.severity !== undefined) rows = rows.where('severity', 'in', AT_LEAST[query.severity]);
  if (query.taskUuid !== undefined) rows = rows.where('taskUuid', '=', query.taskUuid);
  if (host !== undefined) rows = rows.where('hostUuid', '=', host);
  if (vm !== undefined) rows = rows.where('vmUuid', '=', vm);
  const { kind } = query;
  if (kind !== undefined) await refuseUnknown(on, kind);
  if (kind !== undefined) rows = rows.where(ofKind(kind));
  return pageOf(await rows.execute(), ask, { keys: (row) => [row.id], view: eventView });
}

export function eventView({ factsJson, ...event }: FenceEvent): EventView {
  return { ...event, facts: fromJson<ViewFacts>(factsJson) };
}

/** Each kind, and each beginning of one that may be asked for. */
const ASKABLE = [
  ...new Set(
    EVENT_KINDS.flatMap((kind) => {
      const words = kind.split('.');
      return words.map((_, i) => words.slice(0, i + 1).join('.'));
    }),
  ),
];

/**
 * A list without anything would say that it never happened. What another version stored is found.
 * @throws DomainError BAD_INPUT
 */
async function refuseUnknown(on: Queryable, kind: string): Promise<void> {
  if (ASKABLE.includes(kind)) return;
  const stored = on.selectFrom('events').select('id').where(ofKind(kind)).limit(1);
  if ((await stored.executeTakeFirst()) !== undefined) return;
  const near = nearNames(kind, ASKABLE);
  const hint =
    near.length > 0
      ? didYouMean(near)
      : `; they begin with ${ASKABLE.filter((name) => !name.includes('.')).join(', ')}`;
  throw new DomainError('BAD_INPUT', `kind: there is no such kind of event${hint}`);
}

function ofKind(kind: string) {
  return (eb: ExpressionBuilder<Database, 'events'>) =>
    eb.or([eb('kind', '=', kind), eb('kind', 'like', beginning(kind))]);
}

/** `ha` finds `ha.fence.proof`; the wildcards of LIKE find nothing, as no kind holds them. */
export function beginning(kind: string): string {
  return `${kind.replaceAll(/[%_]/g, '')}.%`;
}
