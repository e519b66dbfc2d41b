import { parseSync } from '@swc/core';

/** One import or re-export. */
export interface ImportFact {
  from: string;
  /** Names as the other module exports them; `*` for all, `default` for its default. */
  names: readonly string[];
  typeOnly: boolean;
  line: number;
}

/** One use of a global, outside of types. */
export interface GlobalFact {
  /** `Date.now`, `new Date()`, `fetch` … */
  what: string;
  name: string;
  member?: string;
  line: number;
}

/** What the checks need to know of a file. */
export interface FileFacts {
  path: string;
  leadingComment: string;
  imports: readonly ImportFact[];
  globals: readonly GlobalFact[];
  /** Lines with `async`, `await` or `for await`. */
  asyncLines: readonly number[];
  /** Lines with `export *`. */
  exportAllLines: readonly number[];
}

interface Node {
  type: string;
  span?: { start: number };
  [field: string]: unknown;
}

/** Expressions that only add a type; everything else that begins with `Ts` is a type. */
const TYPED_EXPRESSIONS = [
  'TsAsExpression',
  'TsConstAssertion',
  'TsInstantiation',
  'TsNonNullExpression',
  'TsParameterProperty',
  'TsSatisfiesExpression',
  'TsTypeAssertion',
];

/** swc marks names that no scope of the file declares. */
const UNRESOLVED = 1;

/** Reads a TypeScript source. @throws Error if it can't be parsed. */
export function scan(path: string, source: string): FileFacts {
  // The parser counts positions through all files of a run; the `;` pins where this one begins.
  // A hashbang would not stand at the beginning any more.
  const tree = parseSync(`;${source.replace(/^#!/, '//')}`, {
    syntax: 'typescript',
    decorators: true,
    target: 'es2022',
  });
  const lineOf = lineCounter(source, tree.span.start + 1);
  const facts = {
    path,
    leadingComment: /^(?:\s*(?:\/\/[^\n]*|\/\*[\s\S]*?\*\/))*/.exec(source)?.[0] ?? '',
    imports: [] as ImportFact[],
    globals: [] as GlobalFact[],
    asyncLines: [] as number[],
    exportAllLines: [] as number[],
  };
  walk(tree as unknown as Node, (node) => {
    const line = lineOf(node.span?.start ?? 0);
    const found = importOf(node);
    if (found !== undefined) facts.imports.push({ ...found, line });
    if (node.type === 'ExportAllDeclaration') facts.exportAllLines.push(line);
    if (isAsync(node)) facts.asyncLines.push(line);
    return visitGlobals(node, (fact) => facts.globals.push({ ...fact, line }));
  });
  return facts;
}

function walk(node: Node, visit: (node: Node) => 'children' | 'done'): void {
  if (node.type.startsWith('Ts') && !TYPED_EXPRESSIONS.includes(node.type)) return;
  if (visit(node) === 'done') return;
  walkFields(node, visit);
}

function walkFields(fields: object, visit: (node: Node) => 'children' | 'done'): void {
  for (const [field, value] of Object.entries(fields) as [string, unknown][]) {
    if (['span', 'typeAnnotation', 'typeArguments', 'typeParameters'].includes(field)) continue;
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) walk(child, visit);
      // Arguments, array elements and the functions of methods come without a type.
      else if (typeof child === 'object' && child !== null) walkFields(child, visit);
    }
  }
}

function isNode(value: unknown): value is Node {
  return (
    typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
  );
}

function importOf(node: Node): Omit<ImportFact, 'line'> | undefined {
  if (
    node.type === 'CallExpression' &&
    isNode(node['callee']) &&
    node['callee'].type === 'Import'
  ) {
    const [first] = node['arguments'] as { expression: Node }[];
    const from = first?.expression['value'];
    return { from: typeof from === 'string' ? from : '(computed)', names: ['*'], typeOnly: false };
  }
  const source = node['source'];
  if (!isNode(source) || typeof source['value'] !== 'string') return undefined;
  const specifiers = (node['specifiers'] ?? []) as Node[];
  const all = node.type === 'ExportAllDeclaration';
  const typed = node['typeOnly'] === true;
  const onlyTypes =
    specifiers.length > 0 && specifiers.every((each) => each['isTypeOnly'] === true);
  return {
    from: source['value'],
    names: all ? ['*'] : specifiers.filter((each) => each['isTypeOnly'] !== true).map(importedName),
    typeOnly: typed || onlyTypes,
  };
}

function importedName(specifier: Node): string {
  if (specifier.type === 'ImportDefaultSpecifier') return 'default';
  if (/Namespace/.test(specifier.type)) return '*';
  const name = (specifier['imported'] ?? specifier['orig'] ?? specifier['local']) as Node;
  return String(name['value']);
}

function isAsync(node: Node): boolean {
  const awaits =
    node.type === 'AwaitExpression' || (node.type === 'ForOfStatement' && Boolean(node['isAwait']));
  const method = node['function'] as { async?: boolean } | undefined;
  return awaits || node['async'] === true || method?.async === true;
}

function visitGlobals(
  node: Node,
  tell: (fact: Omit<GlobalFact, 'line'>) => void,
): 'children' | 'done' {
  if (node.type === 'NewExpression') {
    const name = globalName(node['callee']);
    const bare = ((node['arguments'] ?? []) as unknown[]).length === 0;
    if (name === 'Date') {
      if (bare) tell({ what: 'new Date()', name, member: 'now' });
      return visitArguments(node, tell);
    }
  }
  if (node.type === 'CallExpression' && globalName(node['callee']) === 'Date') {
    tell({ what: 'Date()', name: 'Date', member: 'now' });
    return visitArguments(node, tell);
  }
  if (node.type === 'MemberExpression') {
    const name = globalName(node['object']);
    if (name !== undefined) {
      const member = memberName(node['property']);
      tell({ what: `${name}.${member}`, name, member });
      return 'done';
    }
  }
  const name = globalName(node);
  if (name !== undefined) tell({ what: name, name });
  return 'children';
}

/** Of `new Date(x)` only the arguments are looked at further. */
function visitArguments(node: Node, tell: (fact: Omit<GlobalFact, 'line'>) => void): 'done' {
  walkFields({ arguments: node['arguments'] ?? [] }, (inner) => visitGlobals(inner, tell));
  return 'done';
}

function globalName(node: unknown): string | undefined {
  if (!isNode(node) || node.type !== 'Identifier' || node['ctxt'] !== UNRESOLVED) return undefined;
  return String(node['value']);
}

function memberName(property: unknown): string {
  if (!isNode(property)) return '?';
  if (property.type === 'Identifier') return String(property['value']);
  const inner = property['expression'];
  return isNode(inner) && inner.type === 'StringLiteral' ? String(inner['value']) : '?';
}

/** Positions are bytes of UTF-8. */
function lineCounter(source: string, base: number): (position: number) => number {
  const ends: number[] = [];
  let at = base;
  for (const line of source.split('\n')) {
    at += Buffer.byteLength(line) + 1;
    ends.push(at);
  }
  return (position) => ends.findIndex((end) => position < end) + 1;
}
