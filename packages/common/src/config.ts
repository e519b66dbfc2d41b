import { applyDecorators, checkBody, rule, type BodyClass } from '@fenceline/protocol';
import type { PropertyRule } from '@fenceline/protocol';
import { Transform } from 'class-transformer';
import { parse, YAMLParseError } from 'yaml';
import { messageOf } from './failure.js';
import { Secret } from './secret.js';

/** Every problem of a configuration at once, one sentence each. */
export class ConfigError extends Error {
  constructor(
    readonly source: string,
    readonly problems: readonly string[],
  ) {
    super(`${source}: ${problems.join('; ')}`);
    this.name = 'ConfigError';
  }
}

export interface ConfigSources {
  /** Name of the file, for messages. */
  source: string;
  /** YAML text of the file; empty if there is none. */
  yaml: string;
  /**
   * Environment; `FENCELINE_HA__PRE_FENCE__MODE` sets `ha.preFence.mode`. Text stays text where the
   * default is a text or `undefined`; elsewhere it is read as YAML. An empty one counts as not set.
   */
  environment: Readonly<Record<string, string | undefined>>;
  /** Highest priority, already as nested fields. */
  flags?: object;
}

/** Relations between fields, as sentences; empty if all hold. Asked only if every field is valid. */
export type RelationCheck<T> = (config: T) => string[];

type Tree = Record<string, unknown>;

/**
 * Reads a configuration: file, then environment, then flags; validated as a whole. Every setting of
 * the class needs a default (`undefined` will do) and a rule; a section is an instance of a class.
 * @throws ConfigError listing every problem: unknown keys, broken rules, broken relations. Settings
 * are named, values are not: they may be secret.
 */
export function loadConfig<T extends object>(
  type: BodyClass<T>,
  sources: ConfigSources,
  relations: RelationCheck<T> = () => [],
): T {
  const template = new type() as Tree;
  const tree = parseYaml(sources);
  const fromEnvironment = applyEnvironment(tree, template, sources.environment);
  merge(tree, (sources.flags ?? {}) as Tree);
  dropEmptySections(tree, template);
  const { body, problems } = check(type, tree, sources.source);
  for (const [path] of leaves((sources.flags ?? {}) as Tree, []))
    fromEnvironment.names.delete(path.join('.'));
  const unknown = [
    ...unknownKeys(tree, template, ''),
    ...unknownInLists(tree, body as Tree, ''),
    ...fromEnvironment.problems,
  ];
  const named = problems.map((problem) => withVariable(problem, fromEnvironment.names));
  const all = [...unknown, ...named, ...(problems.length > 0 ? [] : relations(body))];
  const ofFile = all.some((problem) => !problem.startsWith('FENCELINE_'));
  if (all.length > 0) throw new ConfigError(ofFile ? sources.source : 'environment', all);
  return body;
}

function check<T extends object>(type: BodyClass<T>, tree: Tree, source: string) {
  try {
    return checkBody(type, tree);
  } catch (error) {
    throw new ConfigError(source, [messageOf(error)]);
  }
}

function parseYaml({ source, yaml }: ConfigSources): Tree {
  let parsed: unknown;
  try {
    parsed = parse(yaml, { logLevel: 'error' }) ?? {};
  } catch (error) {
    throw new ConfigError(source, [yamlProblem(error)]);
  }
  if (!isTree(parsed)) throw new ConfigError(source, ['the top level must be a map of settings']);
  return parsed;
}

/** Where and what, by the parser's own code: its message would quote the text. */
function yamlProblem(error: unknown): string {
  const at = error instanceof YAMLParseError ? error.linePos?.[0] : undefined;
  const where = at === undefined ? '' : ` at line ${at.line}, column ${at.col}`;
  const code = error instanceof YAMLParseError ? ` (${error.code})` : '';
  return `not valid YAML${where}${code}`;
}

/** A field whose default is a map of fields can be checked inside; others are leaves. */
function unknownKeys(tree: Tree, template: Tree, path: string): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const here = path === '' ? printableKey(key) : `${path}.${printableKey(key)}`;
    if (!Object.hasOwn(template, key)) return [`${here}: unknown setting`];
    const inner = template[key];
    return isTree(value) && isSection(inner) ? unknownKeys(value, inner, here) : [];
  });
}

/** The same for the items of lists, whose classes only what was read of them knows. */
function unknownInLists(tree: Tree, read: Tree, path: string): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const here = path === '' ? printableKey(key) : `${path}.${printableKey(key)}`;
    const inner = read[key];
    if (isTree(value) && isSection(inner)) return unknownInLists(value, inner, here);
    if (!Array.isArray(value) || !Array.isArray(inner)) return [];
    return value.flatMap((item: unknown, i) => {
      const one: unknown = inner[i];
      if (!isTree(item) || !isSection(one)) return [];
      const sample = new (one.constructor as BodyClass<Tree>)();
      const at = `${here}.${i}`;
      return [...unknownKeys(item, sample, at), ...unknownInLists(item, one, at)];
    });
  });
}

/** `password:hunter2`, with its space forgotten, is a key too. */
function printableKey(key: string): string {
  return /^[A-Za-z][A-Za-z0-9_]*$/.test(key) ? key : '(a key that is no name)';
}

/** A problem begins with its setting; the file is not to blame for one of the environment. */
function withVariable(problem: string, names: ReadonlyMap<string, string>): string {
  const [setting = '', ...rest] = problem.split(': ');
  const variable = names.get(setting);
  return variable === undefined ? problem : [variable, ...rest].join(': ');
}

interface FromEnvironment {
  /** What can't be read, and what sets nothing: a misspelt setting must not be lost. */
  problems: string[];
  /** Variables by the setting that they set, as `ha.preFence.mode`. */
  names: Map<string, string>;
}

function applyEnvironment(
  tree: Tree,
  template: Tree,
  environment: ConfigSources['environment'],
): FromEnvironment {
  const problems: string[] = [];
  const names = new Map<string, string>();
  const settings = new Map(
    leaves(template, []).map(([path, sample]) => [environmentName(path), { path, sample }]),
  );
  for (const [name, text] of Object.entries(environment)) {
    if (text === undefined || text === '') continue;
    const setting = settings.get(name);
    if (setting === undefined) {
      if (/^FENCELINE_.*__/.test(name)) problems.push(`${name}: unknown setting`);
      continue;
    }
    const value = valueOf(text, setting.sample);
    if (value === undefined) problems.push(`${name}: not valid YAML`);
    else set(tree, setting.path, value);
    names.set(setting.path.join('.'), name);
  }
  return { problems, names };
}

function environmentName(path: readonly string[]): string {
  return `FENCELINE_${path.map(upperSnake).join('__')}`;
}

function valueOf(text: string, sample: unknown): unknown {
  if (typeof sample === 'string' || sample === undefined || sample instanceof Secret) return text;
  try {
    return parse(text, { logLevel: 'error' }) as unknown;
  } catch {
    return undefined;
  }
}

/** `ha:` with nothing under it is a section left at its defaults. */
function dropEmptySections(tree: Tree, template: Tree): void {
  for (const [key, inner] of Object.entries(template)) {
    if (!isSection(inner)) continue;
    const value = tree[key];
    if (value === null) delete tree[key];
    else if (isTree(value)) dropEmptySections(value, inner);
  }
}

function leaves(template: Tree, path: string[]): [string[], unknown][] {
  return Object.entries(template).flatMap(([key, value]): [string[], unknown][] =>
    isSection(value) ? leaves(value, [...path, key]) : [[[...path, key], value]],
  );
}

function set(tree: Tree, path: readonly string[], value: unknown): void {
  const [first, ...rest] = path;
  if (first === undefined) return;
  if (rest.length === 0) {
    tree[first] = value;
    return;
  }
  const inner = isTree(tree[first]) ? tree[first] : {};
  tree[first] = inner;
  set(inner, rest, value);
}

function merge(tree: Tree, extra: Tree): void {
  for (const [key, value] of Object.entries(extra)) {
    const inner = tree[key];
    if (isTree(value) && isTree(inner)) merge(inner, value);
    else if (value !== undefined) tree[key] = value;
  }
}

/** `sshTimeoutSec` → `SSH_TIMEOUT_SEC`; units stay whole: `memoryMiB` → `MEMORY_MIB`. */
function upperSnake(name: string): string {
  return name.replaceAll(/[KMGT]iB|[A-Z]/g, (word) => `_${word}`).toUpperCase();
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A section is an instance of a class of ours; a plain object is a free map of values. */
function isSection(value: unknown): value is Tree {
  if (!isTree(value) || value instanceof Secret) return false;
  return Object.getPrototypeOf(value) !== Object.prototype;
}

/** A setting whose text becomes a `Secret` as it is read; `null` is not one. */
export const SecretText = (maxChars = 4_096): PropertyRule =>
  applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' ? new Secret(value) : value,
    ),
    rule('isSecretText', `$property must be text of 1 to ${maxChars} characters`, {
      holds: (value) =>
        value instanceof Secret && value.reveal() !== '' && value.reveal().length <= maxChars,
    }),
  );
