/** What was thrown, as a sentence. Never a stack trace. */
export function messageOf(thrown: unknown): string {
  return isError(thrown) ? thrown.message : String(thrown);
}

/** What was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return isError(thrown) ? thrown : new Error(String(thrown));
}

/** The `code` of a system's or library's error (`ENOENT`, `ECONNREFUSED` …), if it has one. */
export function errorCode(thrown: unknown): string | undefined {
  return isError(thrown) && 'code' in thrown && typeof thrown.code === 'string'
    ? thrown.code
    : undefined;
}

/** By its form: an Error of another realm (a worker's, a test runner's) is no instance of ours. */
export function isError(thrown: unknown): thrown is Error {
  if (thrown instanceof Error) return true;
  if (typeof thrown !== 'object' || thrown === null) return false;
  return 'message' in thrown && 'name' in thrown && typeof thrown.message === 'string';
}

/** The end of a switch over a union: does not compile while a member is missing. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** States what must be true; a false one is a bug of ours, never of the outside world. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
