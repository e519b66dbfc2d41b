import { getMetadataStorage } from 'class-validator';
import { Settings } from './settings.js';

/** What can be said of a setting without its value. */
export interface SettingSpec {
  /** Its path: `ha.preFence.mode`. */
  name: string;
  default: unknown;
  /** By the suffix of its name: `Ms`, `Sec`, `Min`, `MiB`, `Percent`. */
  unit: string | null;
  min?: number;
  max?: number;
  allowed?: readonly unknown[];
}

const UNITS = [
  [/Ms$/, 'ms'],
  [/Sec$/, 's'],
  [/Min$/, 'min'],
  [/MiB$/, 'MiB'],
  [/Percent$/, '%'],
] as const;

/** Every setting of the product in the order of its class; names, units and rules stated once. */
export const settingCatalog: readonly SettingSpec[] = specsOf(new Settings(), '');

const byName = new Map(settingCatalog.map((spec) => [spec.name, spec]));

export function settingSpec(name: string): SettingSpec | undefined {
  return byName.get(name);
}

/** The setting that was probably meant. */
export function nearestSetting(name: string): string {
  const asked = name.toLowerCase();
  const ranked = settingCatalog
    .map((spec) => ({ name: spec.name, far: distance(asked, spec.name) }))
    .sort((a, b) => a.far - b.far);
  return ranked[0]?.name ?? '';
}

function distance(asked: string, name: string): number {
  const full = name.toLowerCase();
  const last = full.slice(full.lastIndexOf('.') + 1);
  const askedLast = asked.slice(asked.lastIndexOf('.') + 1);
  // Whoever knows the last word only, or misspells a section, means this one.
  return Math.min(edits(asked, full), edits(askedLast, last) + 1);
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

function specsOf(section: object, path: string): SettingSpec[] {
  return Object.entries(section).flatMap(([key, value]: [string, unknown]): SettingSpec[] => {
    const name = path === '' ? key : `${path}.${key}`;
    if (isSection(value)) return specsOf(value, name);
    const unit = UNITS.find(([suffix]) => suffix.test(key))?.[1] ?? null;
    return [{ name, default: value, unit, ...rangeOf(section, key) }];
  });
}

/** A section is an instance of a class of ours. */
export function isSection(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.getPrototypeOf(value) !== Object.prototype;
}

/** Range and values as the class's own rules say, so that they can't differ from them. */
function rangeOf(section: object, key: string): Pick<SettingSpec, 'min' | 'max' | 'allowed'> {
  const rules = getMetadataStorage()
    .getTargetValidationMetadatas(section.constructor, '', false, false)
    .filter((rule) => rule.propertyName === key);
  const constraint = (name: string): unknown =>
    rules.find((rule) => rule.name === name)?.constraints?.[0] as unknown;
  const [min, max, allowed] = [constraint('min'), constraint('max'), constraint('isIn')];
  return {
    ...(typeof min === 'number' ? { min } : {}),
    ...(typeof max === 'number' ? { max } : {}),
    ...(Array.isArray(allowed) ? { allowed: [...(allowed as unknown[])] } : {}),
  };
}
