/** Something the lab cannot do, told as a sentence that says what and, where known, what to do. */
export class LabError extends Error {
  override readonly name: string = 'LabError';
}

/** Something that was asked in a way that cannot be meant: exit code 2. */
export class UsageError extends LabError {
  override readonly name = 'UsageError';
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
