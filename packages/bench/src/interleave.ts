/** One side of a comparison. */
export interface Side {
  readonly label: string;
  /** One measurement; what it prepares is not counted. */
  readonly once: (round: number) => Promise<void>;
}

/**
 * Runs all sides in turn, each once per round, so that a noise that comes and goes hits all of them. The
 * side that begins a round changes, so that none always follows the same other one.
 */
export async function interleave(
  sides: readonly Side[],
  rounds: number,
  tell: (sentence: string) => void,
): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    tell(`round ${round + 1} of ${rounds}`);
    for (let i = 0; i < sides.length; i += 1) {
      const side = sides[(i + round) % sides.length];
      if (side === undefined) continue;
      try {
        await side.once(round);
      } catch (error) {
        throw new Error(
          `${side.label}: ${error instanceof Error ? error.message : String(error)}`,
          {
            cause: error,
          },
        );
      }
    }
  }
}
