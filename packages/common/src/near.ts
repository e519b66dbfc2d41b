const MAX_NEAR = 3;

/**
 * The dotted names that were probably meant, the nearest first, at most three; none if nothing is
 * near. Whoever knows the last word only, a part of it, or misspells a section, means that name.
 */
export function nearNames(asked: string, names: readonly string[]): string[] {
  const typed = asked.toLowerCase();
  const near = names
    .flatMap((name) => {
      const far = distance(typed, name.toLowerCase());
      return far === undefined ? [] : [{ name, far }];
    })
    .sort((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1));
  const best = near[0]?.far ?? 0;
  return near
    .filter(({ far }) => far <= best + 1)
    .slice(0, MAX_NEAR)
    .map(({ name }) => name);
}

/** `; did you mean a, b or c?`, or nothing. */
export function didYouMean(near: readonly string[]): string {
  const last = near.at(-1);
  if (last === undefined) return '';
  const others = near.slice(0, -1).join(', ');
  return `; did you mean ${others === '' ? '' : `${others} or `}${last}?`;
}

function distance(asked: string, name: string): number | undefined {
  const [askedLast, last] = [lastWord(asked), lastWord(name)];
  const ways = [within(asked, name, 0), within(askedLast, last, 2)];
  if (asked.length >= 4 && name.includes(asked)) ways.push(2);
  const near = ways.filter((far) => far !== undefined);
  return near.length === 0 ? undefined : Math.min(...near);
}

/** Edits between two texts, if they are few for their length. */
function within(a: string, b: string, plus: number): number | undefined {
  const far = edits(a, b);
  return far <= Math.max(1, Math.floor(Math.min(a.length, b.length) / 4)) ? far + plus : undefined;
}

function lastWord(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

/** Levenshtein distance. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of a.split('').entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const replaced = (row[j] ?? 0) + (letter === b[j] ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
