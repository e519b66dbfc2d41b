/** The `code` of an error of the operating system (`ENOENT` …); '' if it has none. */
export function errnoOf(error: unknown): string {
  const coded = typeof error === 'object' && error !== null && 'code' in error;
  return coded ? String(error.code) : '';
}
