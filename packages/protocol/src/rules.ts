import { applyDecorators, type PropertyRule } from './decorators.js';
import { IsInt, IsOptional, Matches, Max, MaxLength, Min } from 'class-validator';

const UUID = /^(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})$/;
const HOST_NAME =
  /^(?=.{1,253}$)(?!-)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}|)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}|))*$/;
const IPV6 = /^(?=.*:)[0-9A-Fa-f:.]{2,45}$/;

/** True for a uuid, dashed or as 32 hex digits. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

/** True for an IPv4 or IPv6 address or a host name; nothing else may become a dial target. */
export function isAddress(value: unknown): value is string {
  return typeof value === 'string' && (HOST_NAME.test(value) || IPV6.test(value));
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

/** A uuid, dashed or 32 hex. */
export const Uuid = (options: { each?: boolean } = {}): PropertyRule =>
  applyDecorators(
    Matches(UUID, { message: '$property must be a uuid (dashed or 32 hex digits)', ...options }),
  );

/** An IPv4 or IPv6 address or a host name. */
export const Address = (options: { each?: boolean } = {}): PropertyRule =>
  applyDecorators(
    Matches(new RegExp(`${HOST_NAME.source}|${IPV6.source}`), {
      message: '$property must be an IP address or a host name',
      ...options,
    }),
  );

/** A TCP port, 1 to 65535. */
export const Port = (): PropertyRule => applyDecorators(IsInt(), Min(1), Max(65_535));

/** A fence epoch: a whole number from 0 (nothing ever ran) up. */
export const Epoch = (): PropertyRule => applyDecorators(IsInt(), Min(0), Max(2 ** 48));

/** Free text with a bound. */
export const Text = (max = 4_096): PropertyRule => applyDecorators(MaxLength(max));

/** May be absent. */
export const Optional = (): PropertyRule => applyDecorators(IsOptional());
