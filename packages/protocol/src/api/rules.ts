import { IsInt, IsString, Matches, Max, MaxLength, Min, MinLength } from 'class-validator';
import { applyDecorators, type PropertyRule } from '../decorators.js';
import { isUuid, NumberInQuery, Optional, rule } from '../rules.js';

/** Most items of one page of a list. */
export const MAX_PAGE = 1_000;

const ISO_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** A time of day, ISO 8601 UTC. */
export const Time = (): PropertyRule =>
  applyDecorators(Matches(ISO_UTC, { message: '$property must be a time (ISO 8601 UTC)' }));

/** A uuid or a name that is unique where it is used. */
export const Ref = (): PropertyRule => applyDecorators(IsString(), MinLength(1), MaxLength(256));

/** A new name: letters, digits, dot, dash, underscore; never one that reads as a uuid. */
export const NewName = (): PropertyRule =>
  rule('isNewName', '$property must be 1 to 63 letters, digits, ".", "-" or "_", and no uuid', {
    holds: (value) => typeof value === 'string' && NAME.test(value) && !isUuid(value),
  });

/** A person's reason, for the audit: never empty. */
export const Reason = (): PropertyRule =>
  applyDecorators(IsString(), MinLength(1), MaxLength(1_024));

/** Any JSON value that is not null. */
export const Json = (): PropertyRule =>
  rule('isJson', '$property must be given', { holds: (value) => value !== undefined });

/** A page of a list: at most `limit` items, from where `cursor` says. */
export class PageQuery {
  @Optional() @NumberInQuery() @IsInt() @Min(1) @Max(MAX_PAGE) limit?: number;
  /** `nextCursor` of the page before; absent: the first page. */
  @Optional() @IsString() @MaxLength(512) cursor?: string;
}

/** What every page has in common: absent `nextCursor` means that this was the last one. */
export class Page {
  @Optional() @IsString() @MaxLength(512) nextCursor?: string;
}
