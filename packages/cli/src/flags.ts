import { isUuid } from '@fenceline/protocol';
import { UsageError } from './failure.js';
import { camel, kebab } from './render/words.js';

/** A whole number of a flag. @throws UsageError */
export function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new UsageError(`${flag}: ${text} is no whole number`);
  return Number(text);
}

/** One of a few words, typed in kebab-case or as the API says it. @throws UsageError */
export function oneOf<const Values extends readonly string[]>(
  flag: string,
  text: string | undefined,
  values: Values,
): Values[number] | undefined {
  if (text === undefined) return undefined;
  const lower = camel(text).toLowerCase();
  const found = values.find((value) => value.toLowerCase() === lower);
  if (found !== undefined) return found;
  throw new UsageError(`${flag}: ${text} is none of ${values.map(kebab).join(', ')}`);
}

/** @throws UsageError */
export function uuidOf(what: string, text: string): string {
  const isId: boolean = isUuid(text);
  if (!isId) throw new UsageError(`${what}: ${text} is no uuid`);
  return text;
}

/** The fields that were given: an absent flag is an absent field. */
export function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
