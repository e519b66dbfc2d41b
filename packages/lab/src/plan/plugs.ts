import { hostName, type HostName } from './names.js';

/** Every host has two supplies; it lives on either. */
export const supplies = ['a', 'b'] as const;
export type Supply = (typeof supplies)[number];

/** What an outlet of the power device feeds. */
export interface Plug {
  readonly host: HostName;
  readonly supplies: readonly Supply[];
}

/**
 * `h1` is everything that feeds h1; `h1-a` and `h1-b` are its supplies.
 * @throws UsageError if there is no such host in any lab.
 */
export function plugOf(text: string): Plug {
  const supply = supplies.find((each) => text.endsWith(`-${each}`));
  if (supply === undefined) return { host: hostName(text), supplies };
  return { host: hostName(text.slice(0, -2)), supplies: [supply] };
}

/** Every outlet that belongs to a host. */
export function plugsOf(host: HostName): string[] {
  return [host, ...supplies.map((supply) => `${host}-${supply}`)];
}
