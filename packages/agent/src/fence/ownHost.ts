/** Who this host is, so that it never fences itself (F18). */
export interface OwnHost {
  /** Its uuid, dashed; undefined as long as it belongs to no cluster. */
  hostUuid(): Promise<string | undefined>;
  /** Every address and name of this host; empty only if they can't be told. */
  addresses(): Promise<readonly string[]>;
}

/** One spelling for an address or a name, to compare them. */
export function sameSpelling(address: string): string {
  const text = address.trim().toLowerCase().replace(/\.$/, '');
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/.exec(text);
  if (mapped?.[1] !== undefined) return mapped[1];
  return text.includes(':') ? new URL(`http://[${text}]/`).hostname : text;
}

const ALWAYS_OWN = [/^127\./, /^0\./, /^localhost$/, /\.localhost$/, /^\[::1?\]$/];

/** True if this address can only mean this host. */
export function isOwnAddress(address: string, own: readonly string[]): boolean {
  const spelling = sameSpelling(address);
  return (
    ALWAYS_OWN.some((pattern) => pattern.test(spelling)) ||
    own.some((one) => sameSpelling(one) === spelling)
  );
}
