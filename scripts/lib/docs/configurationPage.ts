import { getMetadataStorage } from 'class-validator';

/** One setting as the page shows it. */
export interface Row {
  /** YAML path: `ha.preFence.mode`. */
  name: string;
  default: unknown;
  unit: string;
  /** Range or allowed values. */
  allowed: string;
  meaning: string;
}

/** What each setting of one file means, by its path; a missing or surplus one is a problem. */
export type Meanings = Readonly<Record<string, string>>;

const UNITS = [
  [/Ms$/, 'ms'],
  [/Sec$/, 's'],
  [/Min$/, 'min'],
  [/MiB$/, 'MiB'],
  [/Percent$/, '%'],
] as const;

/** Every setting of a configuration class, with defaults and rules as the class itself states them. */
export function rowsOf(config: object, meanings: Meanings): { rows: Row[]; problems: string[] } {
  const rows = walk(config, '').map((row) => ({ ...row, meaning: meanings[row.name] ?? '' }));
  const names = new Set(rows.map(({ name }) => name));
  const problems = [
    ...rows.filter(({ meaning }) => meaning === '').map(({ name }) => `${name} has no meaning`),
    ...Object.keys(meanings)
      .filter((name) => !names.has(name))
      .map((name) => `${name} is no setting any more`),
  ];
  return { rows, problems };
}

function walk(section: object, path: string): Omit<Row, 'meaning'>[] {
  return Object.entries(section).flatMap(([key, value]: [string, unknown]) => {
    const name = path === '' ? key : `${path}.${key}`;
    if (isSection(value)) return walk(value, name);
    const unit = UNITS.find(([suffix]) => suffix.test(key))?.[1] ?? '';
    return [{ name, default: value, unit, allowed: allowedOf(section, key) }];
  });
}

function isSection(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.getPrototypeOf(value) !== Object.prototype;
}

/** Range and values by the class's own rules, so that the page can't differ from them. */
function allowedOf(section: object, key: string): string {
  const rules = getMetadataStorage()
    .getTargetValidationMetadatas(section.constructor, '', false, false)
    .filter((rule) => rule.propertyName === key);
  const of = (name: string): unknown =>
    rules.find((rule) => rule.name === name)?.constraints?.[0] as unknown;
  const [min, max, values] = [of('min'), of('max'), of('isIn')];
  if (Array.isArray(values)) return values.map((value) => `\`${String(value)}\``).join(', ');
  if (typeof min === 'number' && typeof max === 'number') return `${min} to ${max}`;
  if (typeof min === 'number') return `${min} or more`;
  return rules.some((rule) => rule.name === 'isBoolean') ? '`true`, `false`' : '';
}

/** Settings as Markdown, one after the other: tables of this width can't be read as text. */
export function settingsAsMarkdown(rows: readonly Row[]): string {
  return rows.map(entry).join('\n');
}

function entry({ name, default: value, unit, allowed, meaning }: Row): string {
  const shown = value === undefined || value === '' ? 'none' : `\`${JSON.stringify(value)}\``;
  const facts = [
    `default ${shown}${unit === '' ? '' : ` ${unit}`}`,
    ...(allowed === '' ? [] : [allowed]),
  ];
  return `- \`${name}\`: ${meaning}\n  ${facts.join('; ')}.`;
}
