/** A rule as docs/SAFETY.md lists it: `- **F24** …`, with every file that its entry names. */
export interface ListedRule {
  id: string;
  sources: readonly string[];
  tests: readonly string[];
}

/** A command of ours as a page shows it: `fenceline host show h1`. */
export interface ShownCommand {
  line: string;
  words: readonly string[];
  flags: readonly string[];
}

const FILE = /`((?:packages|scripts|docs|\.ci)\/[^`\s]+)`/g;
/** `ha/dispatch.ts`: a source file by the end of its path. */
const SHORT = /`((?!packages\/|scripts\/|docs\/)[A-Za-z][\w.-]*(?:\/[\w.-]+)*\.ts)`/g;
const PROGRAM = /`\.\/(scripts\/[A-Za-z0-9-]+)/g;
const LINK = /\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g;

/** Paths in backticks, from the repository's root. Those with `*`, `…` or capitals in a part stand for many. */
export function filesIn(page: string): string[] {
  const named = [...page.matchAll(FILE), ...page.matchAll(PROGRAM)].map((match) => match[1] ?? '');
  return [...new Set(named.filter((path) => !/[*…<]/.test(path)))];
}

/** Source files that are named by the end of their path, as `ha/dispatch.ts`. */
export function shortFilesIn(page: string): string[] {
  return [...new Set([...page.matchAll(SHORT)].map((match) => match[1] ?? ''))];
}

/** Relative links, as they are written. */
export function linksIn(page: string): string[] {
  return [...new Set([...page.matchAll(LINK)].map((match) => match[1] ?? ''))];
}

function isTest(path: string): boolean {
  return path.endsWith('.test.ts');
}

/** The rules of a page in their order; an entry ends with the next one or the next heading. */
export function rulesIn(page: string): ListedRule[] {
  const entries = page.split(/^(?=- |#)/m);
  return entries.flatMap((entry) => {
    const id = /^- \*\*([A-Za-z]+\d*[a-z]?)\*\* /.exec(entry)?.[1];
    if (id === undefined) return [];
    const files = filesIn(entry);
    return [
      {
        id,
        sources: files.filter((path) => !isTest(path)),
        tests: files.filter((path) => isTest(path)),
      },
    ];
  });
}

/** True if a test's name in this source bears the id, in a title or in a table of titles. */
export function namesRule(testSource: string, id: string): boolean {
  return new RegExp(String.raw`['"\x60][^'"\x60\n]*\b${id}(?![0-9A-Za-z])`).test(testSource);
}

/** Lines of code blocks that begin with `fenceline `; a comment at their end is not theirs. */
export function commandsIn(page: string): ShownCommand[] {
  const blocks = [...page.matchAll(/^ *```[a-z]*\n([\s\S]*?)^ *```/gm)].map(
    (match) => match[1] ?? '',
  );
  const lines = blocks.flatMap((block) => block.replaceAll(/\\\n\s*/g, ' ').split('\n'));
  return lines.flatMap((raw) => {
    const line = raw.trim().replace(/\s+#.*$/, '');
    if (!/^fenceline (?:-|[a-z])/.test(line)) return [];
    const parts = line.split(/\s+/).slice(1);
    return [
      {
        line,
        words: parts.filter((part) => /^[a-z][a-z-]*$/.test(part)),
        flags: parts.flatMap((part) => /^--[a-z-]+/.exec(part) ?? []),
      },
    ];
  });
}
