/** @rules What a series of measurements comes to. Series are short, so everything is exact. */

/** One line of the result: milliseconds. */
export interface Summary {
  readonly medianMs: number;
  readonly p95Ms: number;
  readonly n: number;
}

/**
 * The value below or at which `share` of the values lie (nearest rank; the median of an even number is the
 * mean of the two in the middle).
 * @throws RangeError without values, or for a share outside of 0 … 1.
 */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError('a percentile needs at least one value');
  if (!(share >= 0 && share <= 1)) throw new RangeError(`a share is 0 to 1, not ${share}`);
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number =>
    sorted[Math.min(Math.max(index, 0), sorted.length - 1)] ?? 0;
  const rank = share * sorted.length;
  if (share === 0.5 && Number.isInteger(rank)) return (at(rank - 1) + at(rank)) / 2;
  return at(Math.ceil(rank) - 1);
}

/** @throws RangeError without values. */
export function summarize(values: readonly number[]): Summary {
  return {
    medianMs: rounded(percentile(values, 0.5)),
    p95Ms: rounded(percentile(values, 0.95)),
    n: values.length,
  };
}

/** A ratio of two medians, to three digits. @throws RangeError if the lower one is not positive. */
export function ratio(upper: Summary, lower: Summary): number {
  if (!(lower.medianMs > 0)) throw new RangeError('a ratio needs a positive divisor');
  return Number((upper.medianMs / lower.medianMs).toPrecision(3));
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
