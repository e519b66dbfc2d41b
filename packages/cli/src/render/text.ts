/** What a piece of text says about the thing it names; colours follow from it. */
export type Tone = 'good' | 'warn' | 'bad' | 'dim' | 'strong' | 'plain';

/** Text with a tone. */
export interface Cell {
  text: string;
  tone: Tone;
}

/** Puts a tone on text that has its final width. */
export type Paint = (text: string, tone: Tone) => string;

const CODES: Record<Tone, number | undefined> = {
  good: 32,
  warn: 33,
  bad: 31,
  dim: 2,
  strong: 1,
  plain: undefined,
};

/** Colours for a terminal. */
export const ansiPaint: Paint = (text, tone) => {
  const code = CODES[tone];
  return code === undefined || text === '' ? text : `\u001B[${code}m${text}\u001B[0m`;
};

/** No colours: for files, pipes and tests. */
export const plainPaint: Paint = (text) => text;

export function cell(text: string | number | null | undefined, tone: Tone = 'plain'): Cell {
  return { text: clean(text === null || text === undefined ? '-' : String(text)), tone };
}

/**
 * Without control characters: what came from elsewhere (a VM's name) must not steer the terminal
 * of whoever reads it.
 */
export function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex -- they are what is to be found
  return text.replaceAll(/[\u0000-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g, ' ');
}

/** Columns as wide as their widest text; the last one is not padded. */
export function table(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  paint: Paint,
): string[] {
  const all = [head.map((text): Cell => ({ text, tone: 'dim' })), ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => width(row[i]?.text ?? ''))));
  return all.map((row) =>
    row
      .map(({ text, tone }, i) => {
        const gap = i === row.length - 1 ? '' : ' '.repeat((widths[i] ?? 0) - width(text));
        return `${paint(text, tone)}${gap}`;
      })
      .join('  ')
      .trimEnd(),
  );
}

/** `name  value` lines, values in one column. */
export function facts(pairs: readonly (readonly [string, Cell])[], paint: Paint): string[] {
  const wide = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs.map(([name, { text, tone }]) =>
    `${paint(name.padEnd(wide), 'dim')}  ${paint(text, tone)}`.trimEnd(),
  );
}

/** A section's title. */
export function title(text: string, paint: Paint): string {
  return paint(clean(text), 'strong');
}

/** Characters, not code units; wide ones are rare enough in names. */
function width(text: string): number {
  return Array.from(text).length;
}
