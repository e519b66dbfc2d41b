import { parseBody, problemsOf, type BodyClass } from '@fenceline/protocol';
import { parse } from 'yaml';
import { messageOf } from './failure.js';

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
  /** Environment; `FENCELINE_HA__PRE_FENCE__MODE` sets `ha.preFence.mode`. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Highest priority, already as nested fields. */
  flags?: object;
}

/** Relations between fields, as sentences; empty if all hold. */
export type RelationCheck<T> = (config: T) => string[];

type Tree = Record<string, unknown>;

/**
 * Reads a configuration: file, then environment, then flags; validated as a whole.
 * @throws ConfigError listing every problem: unknown keys, broken rules, broken relations.
 */
export function loadConfig<T extends object>(
  type: BodyClass<T>,
  sources: ConfigSources,
  relations: RelationCheck<T> = () => [],
): T {
  const template = new type() as Tree;
  const tree = parseYaml(sources);
  const unknown = unknownKeys(tree, template, '');
  applyEnvironment(tree, template, sources);
  merge(tree, (sources.flags ?? {}) as Tree);
  if (unknown.length > 0) throw new ConfigError(sources.source, unknown);
  let config: T;
  try {
    config = parseBody(type, tree);
  } catch (error) {
    throw new ConfigError(sources.source, [messageOf(error)]);
  }
  const problems = [...problemsOf(config), ...relations(config)];
  if (problems.length > 0) throw new ConfigError(sources.source, problems);
  return config;
}

function parseYaml({ source, yaml }: ConfigSources): Tree {
  let parsed: unknown;
  try {
    parsed = parse(yaml) ?? {};
  } catch (error) {
    throw new ConfigError(source, [`not valid YAML: ${messageOf(error).split('\n')[0]}`]);
  }
  if (!isTree(parsed)) throw new ConfigError(source, ['the top level must be a map of settings']);
  return parsed;
}

/** A field whose default is a map of fields can be checked inside; others are leaves. */
function unknownKeys(tree: Tree, template: Tree, path: string): string[] {
  return Object.entries(tree).flatMap(([key, value]) => {
    const here = path === '' ? key : `${path}.${key}`;
    if (!Object.hasOwn(template, key)) return [`${here}: unknown setting`];
    const inner = template[key];
    return isTree(value) && isSection(inner) ? unknownKeys(value, inner, here) : [];
  });
}

function applyEnvironment(tree: Tree, template: Tree, { environment }: ConfigSources): void {
  for (const [path, sample] of leaves(template, [])) {
    const name = `FENCELINE_${path.map(upperSnake).join('__')}`;
    const text = environment[name];
    if (text !== undefined) set(tree, path, typeof sample === 'string' ? text : parse(text));
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

function upperSnake(name: string): string {
  return name.replaceAll(/([A-Z])/g, '_$1').toUpperCase();
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A section is an instance of a class of ours; a plain object is a free map of values. */
function isSection(value: unknown): value is Tree {
  return isTree(value) && Object.getPrototypeOf(value) !== Object.prototype;
}
