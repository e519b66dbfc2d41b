import { Transform } from 'class-transformer';
import {
  ArrayMaxSize,
  buildMessage,
  IsArray,
  IsInt,
  IsOptional,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateBy,
  ValidateNested,
  isIP,
} from 'class-validator';
import { applyDecorators, type PropertyRule } from './decorators.js';
import { Type } from './nested.js';

const UUID = /^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$/;
const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const HOST_NAME = new RegExp(String.raw`^(?=.{1,253}$)${LABEL}(?:\.${LABEL})*$`);
/** `1`, `10.1` and `0x7f.1` are addresses to a resolver, not names. */
const NUMBER_LIKE = /(?:^|\.)(?:\d+|0[xX][0-9a-fA-F]*)$/;

/** True for a uuid, dashed or as 32 hex digits. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

/** True for an IPv4 or IPv6 address or a host name; nothing else may become a dial target. */
export function isAddress(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  // A zone (`fe80::1%eth0`) is free text and means something only on the host that wrote it.
  if (isIP(value)) return !value.includes('%');
  return HOST_NAME.test(value) && !NUMBER_LIKE.test(value);
}

/** One spelling for a uuid: dashed, lower case. */
export function dashed(uuid: string): string {
  const hex = uuid.replaceAll('-', '').toLowerCase();
  const cut = [0, 8, 12, 16, 20, 32];
  return cut
    .slice(1)
    .map((end, i) => hex.slice(cut[i], end))
    .join('-');
}

/**
 * A uuid, dashed or 32 hex; read as its one spelling.
 * safety: what is one VM for a host must be one VM for whoever compares, stores and fences.
 */
export const Uuid = (options: { each?: boolean } = {}): PropertyRule =>
  applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      Array.isArray(value) ? value.map(oneSpelling) : oneSpelling(value),
    ),
    Matches(UUID, { message: '$property must be a uuid (dashed or 32 hex digits)', ...options }),
  );

function oneSpelling(value: unknown): unknown {
  return isUuid(value) ? dashed(value) : value;
}

/** An IPv4 or IPv6 address or a host name. */
export const Address = (options: { each?: boolean } = {}): PropertyRule =>
  rule('isAddress', '$property must be an IP address or a host name', {
    holds: isAddress,
    ...options,
  });

/** A TCP port, 1 to 65535. */
export const Port = (): PropertyRule => applyDecorators(IsInt(), Min(1), Max(65_535));

/** A fence epoch: a whole number from 0 (nothing ever ran) up. */
export const Epoch = (): PropertyRule => applyDecorators(IsInt(), Min(0), Max(2 ** 48));

/** Free text with a bound. */
export const Text = (max = 4_096): PropertyRule => applyDecorators(MaxLength(max));

/** May be absent; `null` counts as absent, and a default stays in force. */
export const Optional = (): PropertyRule =>
  applyDecorators(
    IsOptional(),
    Transform(({ value }: { value: unknown }) => value ?? undefined),
  );

/** May be absent or `null`, and `null` says something. */
export const Nullable = (): PropertyRule => applyDecorators(IsOptional());

/**
 * The default of a field that must arrive: absent is an error, never a quiet 0 or empty list.
 * Its rule has to refuse `undefined`, as all but `Optional` and `Nullable` do.
 */
export function required<T>(): T {
  return undefined as T;
}

/** One nested body. */
export const Part = (type: () => new () => object): PropertyRule =>
  applyDecorators(
    ValidateNested(),
    Type(type),
    rule('isPart', '$property must be an object', { holds: (value) => value instanceof type() }),
  );

/** A list of nested bodies, with a bound. */
export const List = (type: () => new () => object, max = 65_536): PropertyRule =>
  applyDecorators(
    IsArray(),
    ArrayMaxSize(max),
    ValidateNested({ each: true }),
    Type(type),
    // Alone, ValidateNested lets `[null]` and `[[{…}]]` pass.
    rule('isPart', 'each value in $property must be an object', {
      holds: (value) => value instanceof type(),
      each: true,
    }),
  );

/** A number that may come as text, as every field of a query does. */
export const NumberInQuery = (): PropertyRule =>
  applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : value,
    ),
  );

/** A boolean that may come as the text `true` or `false`. */
export const BooleanInQuery = (): PropertyRule =>
  applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      value === 'true' || value === 'false' ? value === 'true' : value,
    ),
  );

/**
 * A rule of our own; `message` names the property and what must hold, never the value: one that is
 * made of the value may name fields in it.
 */
export function rule(
  name: string,
  message: string | ((value: unknown) => string),
  { holds, each = false }: { holds: (value: unknown) => boolean; each?: boolean },
): PropertyRule {
  return applyDecorators(
    ValidateBy(
      {
        name,
        validator: {
          validate: holds,
          defaultMessage: (about) =>
            typeof message === 'string'
              ? buildMessage(() => message)(about)
              : message(about?.value),
        },
      },
      { each },
    ),
  );
}
