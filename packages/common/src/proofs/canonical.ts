/** Deeper than any record of ours; a hostile file must not exhaust the stack. */
const MAX_DEPTH = 32;

/**
 * The one text of a JSON value, so that equal content has equal digests (after RFC 8785): no white
 * space, the keys of an object in the order of their UTF-16 units, texts and numbers as ECMAScript
 * writes them, `undefined` fields left out. @rules
 * @throws RangeError for what is no JSON: NaN, infinity, functions, nesting without end.
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > MAX_DEPTH) throw new RangeError('nested too deeply for a record');
  if (value === null || typeof value === 'boolean' || typeof value === 'string')
    return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value))
    return `[${Array.from(value, (item) => canonicalJson(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object') throw new RangeError(`a ${typeof value} is no JSON`);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field, depth + 1)}`);
  return `{${fields.join(',')}}`;
}
