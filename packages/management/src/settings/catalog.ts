import { nearNames } from '@fenceline/common';
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

/** The settings that were probably meant, the nearest first. */
export function nearSettings(name: string): string[] {
  return nearNames(
    name,
    settingCatalog.map((spec) => spec.name),
  );
}

/** Why `value` can't be one of this setting, told by how one is written; undefined: nothing is. */
export function valueProblem(spec: SettingSpec, value: unknown): string | undefined {
  const { name, default: normal, min, max, allowed } = spec;
  if (Array.isArray(normal)) {
    if (Array.isArray(value)) return undefined;
    return `${name}: must be a list, written as ${JSON.stringify(normal.slice(0, 1))}`;
  }
  if (allowed !== undefined)
    return allowed.includes(value) ? undefined : `${name}: must be one of ${allowed.join(', ')}`;
  if (typeof normal === 'boolean')
    return typeof value === 'boolean' ? undefined : `${name}: must be true or false`;
  if (typeof normal !== 'number' || min === undefined || max === undefined) return undefined;
  const fits = Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
  return fits ? undefined : `${name}: must be a whole number from ${min} to ${max}`;
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
