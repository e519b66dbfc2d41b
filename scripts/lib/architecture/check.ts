import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import {
  ADAPTER_LIBRARIES,
  COMMON_ADAPTERS,
  type FileKind,
  IMPURE_CRYPTO,
  IMPURE_GLOBALS,
  IMPURE_MEMBERS,
  IMPURE_MODULES,
  kindOf,
  MAY_IMPORT,
  RESERVED,
  WITHOUT_NODE,
} from './rules.ts';
import type { FileFacts, GlobalFact, ImportFact } from './scan.ts';

/** A broken rule: where, and what to do instead. */
export interface Problem {
  path: string;
  line: number;
  text: string;
}

/** What a package.json says that matters here. */
export interface PackageFacts {
  /** `agent`, without the scope. */
  name: string;
  dependencies: readonly string[];
  /** Subpaths that others may import: `.`, `./testing`. */
  exports: readonly string[];
}

type Told = { line: number; text: string };

/** Every broken rule of one file. */
export function checkFile(facts: FileFacts, packages: readonly PackageFacts[]): Problem[] {
  const kind = kindOf(facts.path, facts.leadingComment);
  const own = packages.find(({ name }) => name === kind.package);
  const told: Told[] = [
    ...facts.imports.flatMap((each) => [
      ...acrossPackages(each, { kind, packages }),
      ...insidePackage(each, facts.path, kind),
      ...declared(each, kind, own),
      ...impureImport(each, kind),
      ...adapterImport(each, kind),
      ...reservedImport(each, facts.path),
    ]),
    ...facts.globals.flatMap((each) => impureGlobal(each, kind)),
    ...(kind.rules ? ruleFile(facts) : []),
    ...barrels(facts, kind),
  ];
  return told.map(({ line, text }) => ({ path: facts.path, line, text }));
}

/** Package dependencies that the table does not allow. */
export function checkPackages(packages: readonly PackageFacts[]): Problem[] {
  return packages.flatMap(({ name, dependencies }) => {
    const path = `packages/${name}/package.json`;
    const allowed = MAY_IMPORT[name];
    if (allowed === undefined)
      return [{ path, line: 1, text: `${name} is in no table: scripts/lib/architecture/rules.ts` }];
    return dependencies
      .filter((each) => each.startsWith('@fenceline/'))
      .filter((each) => !allowed.includes(each.slice('@fenceline/'.length)))
      .map((each) => ({ path, line: 1, text: `${name} may not depend on ${each}` }));
  });
}

interface Scope {
  kind: FileKind;
  packages: readonly PackageFacts[];
}

function acrossPackages({ from, line }: ImportFact, { kind, packages }: Scope): Told[] {
  const [, name, rest] = /^@fenceline\/([^/]+)(\/.*)?$/.exec(from) ?? [];
  if (name === undefined) return [];
  if (name === kind.package)
    return kind.test ? [] : [{ line, text: `a package does not import itself by name: ${from}` }];
  const told: Told[] = [];
  if (!(MAY_IMPORT[kind.package] ?? []).includes(name))
    told.push({ line, text: `${kind.package} may not import @fenceline/${name}` });
  const subpath = `.${rest ?? ''}`;
  const exported = packages.find((each) => each.name === name)?.exports ?? ['.'];
  if (!exported.includes(subpath))
    told.push({ line, text: `${from} is not exported by @fenceline/${name}` });
  if (subpath === './testing' && !kind.test && !mayUseTestKit(kind))
    told.push({ line, text: `${from} is for tests and simulations` });
  return told;
}

function mayUseTestKit(kind: FileKind): boolean {
  return ['simulator', 'e2e', 'bench'].includes(kind.package);
}

/** No relative path leaves the package; tests may look into their own src. */
function insidePackage({ from, line }: ImportFact, path: string, kind: FileKind): Told[] {
  if (!from.startsWith('.')) return [];
  const target = posix.join(posix.dirname(path), from);
  if (!target.startsWith(`packages/${kind.package}/`))
    return [{ line, text: `${from} leaves the package: import other packages by name` }];
  if (!kind.test && /\.test\.js$|\/test\//.test(target))
    return [{ line, text: `${from} is a test` }];
  return [];
}

/** What is imported stands in the package's own package.json. */
function declared({ from, line }: ImportFact, kind: FileKind, own?: PackageFacts): Told[] {
  if (from.startsWith('.') || from === '(computed)' || isBuiltin(from) || kind.test) return [];
  const name = from.split('/', from.startsWith('@') ? 2 : 1).join('/');
  if (own === undefined || name === `@fenceline/${kind.package}`) return [];
  return own.dependencies.includes(name)
    ? []
    : [{ line, text: `${name} is not in packages/${kind.package}/package.json` }];
}

function impureImport({ from, names, typeOnly, line }: ImportFact, kind: FileKind): Told[] {
  if (typeOnly || kind.test) return [];
  const builtin = isBuiltin(from) ? from.replace(/^node:/, '') : undefined;
  if (WITHOUT_NODE.includes(kind.package))
    return builtin === undefined
      ? []
      : [{ line, text: `${kind.package} uses no Node API: ${from}` }];
  if (kind.adapter) return [];
  if (from === '(computed)') return [{ line, text: 'an import is named, not computed' }];
  const impure =
    IMPURE_MODULES.includes(builtin ?? '') ||
    (builtin === 'crypto' &&
      names.some((name) => name === '*' || name === 'default' || IMPURE_CRYPTO.test(name)));
  if (impure)
    return [
      { line, text: `${from} (${names.join(', ')}) belongs behind a port, in an adapters folder` },
    ];
  if (ADAPTER_LIBRARIES.includes(from))
    return [{ line, text: `${from} belongs in an adapters folder` }];
  return [];
}

function adapterImport({ from, names, typeOnly, line }: ImportFact, kind: FileKind): Told[] {
  if (typeOnly || kind.composition) return [];
  if (from.startsWith('.') && from.split('/').includes('adapters'))
    return [
      { line, text: `${from}: adapters are named by compose.ts and main.ts only; take a port` },
    ];
  if (from !== '@fenceline/common') return [];
  return names
    .filter((name) => COMMON_ADAPTERS.includes(name) || name === '*')
    .map((name) => ({ line, text: `${name} of @fenceline/common is an adapter: take its port` }));
}

/** Tests are no exception: a forged proof is none. */
function reservedImport({ from, names, typeOnly, line }: ImportFact, path: string): Told[] {
  if (typeOnly || !from.startsWith('.')) return [];
  const target = posix.join(posix.dirname(path), from);
  return RESERVED.filter((each) => each.from === target && !path.startsWith(each.folder))
    .filter(({ name }) => names.includes(name) || names.includes('*'))
    .map(({ name, why }) => ({ line, text: `${name} may not be imported here: ${why}` }));
}

function impureGlobal({ what, name, member, line }: GlobalFact, kind: FileKind): Told[] {
  if (
    WITHOUT_NODE.includes(kind.package) &&
    (name === 'Buffer' || name === 'process') &&
    !kind.test
  )
    return [{ line, text: `${kind.package} uses no Node API: ${what}` }];
  if (kind.adapter || kind.test) return [];
  const instead = Object.hasOwn(IMPURE_GLOBALS, name) ? IMPURE_GLOBALS[name] : undefined;
  if (instead !== undefined) return [{ line, text: `${what} is impure here: ${instead}` }];
  const members = Object.hasOwn(IMPURE_MEMBERS, name) ? IMPURE_MEMBERS[name] : undefined;
  if (members === undefined) return [];
  // The bare name, or a computed member, could be anything.
  if (member === undefined || member === '?' || members.includes(member))
    return [{ line, text: `${what} is impure here: take a Clock or Random` }];
  return [];
}

/** A rule file only computes. */
function ruleFile(facts: FileFacts): Told[] {
  const told: Told[] = facts.asyncLines.map((line) => ({
    line,
    text: 'a rule file only computes: no async',
  }));
  for (const { name, line } of facts.globals)
    if (name === 'Promise') told.push({ line, text: 'a rule file only computes: no Promise' });
  for (const { from, typeOnly, line } of facts.imports)
    if (!typeOnly && /(?:^|\/)adapters\//.test(from))
      told.push({ line, text: 'a rule file knows no adapter' });
  return told;
}

/** `export *` makes a barrel; a package has one, its index.ts (and that of its test kit). */
function barrels(facts: FileFacts, kind: FileKind): Told[] {
  const path = facts.path.slice(`packages/${kind.package}/`.length);
  if (/^src\/(?:testing\/)?index\.ts$/.test(path)) return [];
  return facts.exportAllLines.map((line) => ({
    line,
    text: 'a barrel: only the index.ts of a package re-exports all of a file',
  }));
}

function isBuiltin(from: string): boolean {
  return from.startsWith('node:') || builtinModules.includes(from);
}
