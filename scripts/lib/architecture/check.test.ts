import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { checkFile, checkPackages, type PackageFacts } from './check.ts';
import { COMMON_ADAPTERS, MAY_IMPORT } from './rules.ts';
import { scan } from './scan.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

const LIBRARIES = 'axios express winston ssh2 better-sqlite3 yaml class-validator'.split(' ');

const packages: PackageFacts[] = Object.keys(MAY_IMPORT).map((name) => ({
  name,
  dependencies: (MAY_IMPORT[name] ?? []).map((each) => `@fenceline/${each}`).concat(LIBRARIES),
  exports: name === 'common' ? ['.', './testing'] : ['.'],
}));

function problemsOf(path: string, source: string): string[] {
  return checkFile(scan(path, source), packages).map(({ line, text }) => `${line}: ${text}`);
}

const RULES = 'packages/agent/src/fence/verdict.ts';

describe('imports between packages', () => {
  test.each([
    ['protocol', 'common'],
    ['common', 'agent'],
    ['agent', 'management'],
    ['management', 'agent'],
    ['lab', 'agent'],
    ['lab', 'management'],
    ['cli', 'management'],
    ['console', 'common'],
    ['simulator', 'bench'],
    ['agent', 'simulator'],
  ])('%s may not import %s, not even its types', (own, other) => {
    const path = `packages/${own}/src/a/b.ts`;
    for (const source of [
      `import { x } from '@fenceline/${other}';`,
      `import type { x } from '@fenceline/${other}';`,
      `export { x } from '@fenceline/${other}';`,
      `const x = await import('@fenceline/${other}');`,
    ])
      expect(problemsOf(path, source)).toContain(`1: ${own} may not import @fenceline/${other}`);
  });

  test.each(Object.entries(MAY_IMPORT).flatMap(([own, all]) => all.map((other) => [own, other])))(
    '%s may import %s',
    (own, other) => {
      const source = `import { DomainError } from '@fenceline/${other}';`;
      expect(problemsOf(`packages/${own}/src/a.ts`, source)).toEqual([]);
    },
  );

  test('the table has no cycle', () => {
    const reach = (name: string, seen: readonly string[]): void => {
      expect(seen).not.toContain(name);
      for (const next of MAY_IMPORT[name] ?? []) reach(next, [...seen, name]);
    };
    for (const name of Object.keys(MAY_IMPORT)) reach(name, []);
  });

  test.each([
    ["import { x } from '../../common/src/clock.js';", 'leaves the package'],
    ["import type { x } from '../../../scripts/lib/x.js';", 'leaves the package'],
    ["import { x } from '@fenceline/common/src/clock.js';", 'is not exported'],
    ["import { x } from '@fenceline/agent';", 'does not import itself by name'],
    ["import { x } from './a.test.js';", 'is a test'],
    ["import { x } from '../test/rig.js';", 'is a test'],
    ["import { VirtualClock } from '@fenceline/common/testing';", 'for tests and simulations'],
    ["import x from 'left-pad';", 'left-pad is not in packages/agent/package.json'],
    ["import x from '@scope/left-pad/deep.js';", '@scope/left-pad is not in'],
    ["export * from './other.js';", 'a barrel'],
  ])('%s: %s', (source, text) => {
    expect(problemsOf('packages/agent/src/a.ts', source).join()).toContain(text);
  });

  test('the test kit is for tests and simulations', () => {
    const source = "import { VirtualClock } from '@fenceline/common/testing';";
    expect(problemsOf('packages/agent/src/a.test.ts', source)).toEqual([]);
    expect(problemsOf('packages/simulator/src/world.ts', source)).toEqual([]);
  });
});

describe('the seam: impure things stand behind ports', () => {
  const impure: [string, string][] = [
    ['const now = Date.now();', 'Date.now'],
    ['const now = new Date();', 'new Date()'],
    ['const now = new Date;', 'new Date()'],
    ['const now = Date();', 'Date()'],
    ["const now = Date['now']();", 'Date.now'],
    ['const clock = Date;', 'Date'],
    ['const at = new Date(Date.now());', 'Date.now'],
    ['const key = "now"; Date[key as "now"]();', 'Date.?'],
    ['const ms = performance.now();', 'performance.now'],
    ['setTimeout(() => undefined, 5);', 'setTimeout'],
    ['const timer = { set: setInterval };', 'setInterval'],
    ['setImmediate(() => undefined);', 'setImmediate'],
    ['const s = AbortSignal.timeout(5);', 'AbortSignal.timeout'],
    ['const x = Math.random();', 'Math.random'],
    ['const { random } = Math;', 'Math'],
    ['const x = crypto.randomUUID();', 'crypto.randomUUID'],
    ["await fetch('https://x');", 'fetch'],
    ['const t = process.hrtime();', 'process.hrtime'],
    ['const e = process.env;', 'process.env'],
    ['const d = globalThis.Date;', 'globalThis.Date'],
    ['class A { at = Date.now(); }', 'Date.now'],
    ['function f(at = Date.now()) {}', 'Date.now'],
    ['const x = (Date as unknown as { now(): number }).now();', 'Date'],
    ['@D(Date.now()) class A {}', 'Date.now'],
    ['const x = `${Date.now()}`;', 'Date.now'],
    ['const x = [Math.random()];', 'Math.random'],
    ['const x = f(...[Math.random()]);', 'Math.random'],
    ['const x = a?.b ?? Date.now();', 'Date.now'],
    ['class A { at(): number { return Date.now(); } }', 'Date.now'],
    ['class A { constructor() { setTimeout(f); } }', 'setTimeout'],
    ['class A { static { setTimeout(f); } }', 'setTimeout'],
    ['const o = { get at() { return Date.now(); }, b() {} };', 'Date.now'],
    ['export const f = (): void => { try { f(); } catch { Math.random(); } };', 'Math.random'],
    ['const { a = Date.now() } = b;', 'Date.now'],
    ['label: for (const a of [Math.random()]) break label;', 'Math.random'],
    ['const x = () => { switch (1) { default: return Date.now(); } };', 'Date.now'],
  ];

  test.each(impure)('%s is caught', (source, what) => {
    const problems = problemsOf(RULES, `const a = 1;\n${source}`);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`2: ${what} is impure here`);
  });

  test.each(impure)('%s is fine in an adapter, a main.ts, a test, the lab', (source) => {
    for (const path of [
      'packages/agent/src/fence/adapters/x.ts',
      'packages/agent/src/main.ts',
      'packages/agent/src/x.test.ts',
      'packages/agent/test/kit.ts',
      'packages/lab/src/x.ts',
      'packages/e2e/src/x.ts',
      'packages/bench/src/x.ts',
    ])
      expect(problemsOf(path, source)).toEqual([]);
  });

  test.each([
    ['const at = new Date(5).toISOString();'],
    ['const at = Date.parse(text) + Date.UTC(2026, 0);'],
    ['function f(at: Date, m: typeof Math, d: typeof Date.now): void {}'],
    ['const x = Math.max(1, 2);'],
    ['const s = AbortSignal.any([a, b]);'],
    ['const clock = { Date: 1, performance: 2 }; clock.Date;'],
    ['function f(setTimeout: () => void) { setTimeout(); }'],
    ['import { setTimeout } from "./port.js"; setTimeout();'],
    ['const fetch = (): void => undefined; fetch();'],
    ['class A { fetch(): void {} process = 1; }'],
    ['type T = { performance: number; now: ReturnType<typeof setTimeout> };'],
    ['const x = y as Date; const z = f<Date>(y);'],
    ['interface I { at: Date }'],
  ])('%s is pure', (source) => {
    expect(problemsOf(RULES, source)).toEqual([]);
  });

  const modules =
    'fs node:fs node:fs/promises node:net node:http node:https node:dns node:os ' +
    'node:timers/promises node:child_process node:worker_threads node:tls ' +
    'axios express ssh2 winston better-sqlite3';

  test.each(modules.split(' '))('%s belongs in an adapter', (module) => {
    const value = `import { x } from '${module}';`;
    expect(problemsOf(RULES, value).join()).toMatch(/adapters folder/);
    expect(problemsOf(RULES, `import * as x from '${module}';`).join()).toMatch(/adapters folder/);
    expect(problemsOf(RULES, `import type { X } from '${module}';`).join()).not.toMatch(/adapters/);
    expect(problemsOf('packages/agent/src/x/adapters/y.ts', value).join()).not.toMatch(/adapters/);
  });

  test('chance of node:crypto is impure, digests are not', () => {
    const chance = "import { createHash, randomUUID } from 'node:crypto';";
    expect(problemsOf(RULES, chance)).toHaveLength(1);
    expect(problemsOf(RULES, "import * as c from 'node:crypto';")).toHaveLength(1);
    expect(problemsOf(RULES, "import { createHash, verify } from 'node:crypto';")).toEqual([]);
    expect(problemsOf(RULES, "import { inspect } from 'node:util';")).toEqual([]);
  });

  test('adapters are named where a program is put together', () => {
    const own = "import { sshDialer } from './adapters/sshDialer.js';";
    const shared = "import { systemClock, sleep } from '@fenceline/common';";
    for (const source of [own, shared, "import * as c from '@fenceline/common';"]) {
      expect(problemsOf('packages/agent/src/fence.ts', source)).toHaveLength(1);
      expect(problemsOf('packages/agent/src/compose.ts', source)).toEqual([]);
      expect(problemsOf('packages/agent/src/composeParts.ts', source)).toEqual([]);
    }
    const types = "import type { SshDialer } from './adapters/sshDialer.js';";
    expect(problemsOf('packages/agent/src/fence.ts', types)).toEqual([]);
  });

  test('the list of adapters of common is complete', () => {
    const folder = join(root, 'packages/common/src/adapters');
    const exported = readdirSync(folder)
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .filter((name) => name !== 'expressStream.ts')
      .flatMap((name) => [
        ...readFileSync(join(folder, name), 'utf8').matchAll(
          /^export (?:async )?(?:function|const|class) (\w+)/gm,
        ),
      ])
      .map(([, name]) => name);
    expect(new Set(exported)).toEqual(new Set(COMMON_ADAPTERS));
  });

  test.each([
    ["import { inspect } from 'node:util';", 'protocol uses no Node API: node:util'],
    ["import { inspect } from 'util';", 'protocol uses no Node API: util'],
    ["const b = Buffer.from('x');", 'protocol uses no Node API: Buffer.from'],
    ['const e = process.env;', 'protocol uses no Node API: process.env'],
  ])('protocol runs in a browser too: %s', (source, text) => {
    expect(problemsOf('packages/protocol/src/x.ts', source)).toEqual([`1: ${text}`]);
  });
});

describe('no proof, no start is a type', () => {
  test.each([
    ["import { proofMaker } from '../fencing/proof.js';", 'src/ha/start.ts'],
    ["import { FenceProof, proofMaker as make } from '../fencing/proof.js';", 'src/ha/start.ts'],
    ["import * as proof from '../fencing/proof.js';", 'src/ha/start.ts'],
    ["export { proofMaker } from './proof.js';", 'src/fencing/verdict.ts'],
    ["const proof = await import('../fencing/proof.js');", 'src/ha/start.ts'],
    ["import { proofMaker } from '../fencing/proof.js';", 'src/ha/start.test.ts'],
  ])('F1: %s in %s is refused', (source, path) => {
    const told = problemsOf(`packages/management/${path}`, source).join();
    expect(told).toContain('only the rules of fencing make proofs');
  });

  test('F1: the rules of fencing make them, others take them', () => {
    const make = "import { FenceProof, proofMaker } from '../proof.js';";
    expect(problemsOf('packages/management/src/fencing/proofs/byPeer.ts', make)).toEqual([]);
    const take = "import { FenceProof } from '../fencing/proof.js';";
    expect(problemsOf('packages/management/src/ha/start.ts', take)).toEqual([]);
  });

  test('F1: the name is where this rule looks for it', () => {
    const source = readFileSync(join(root, 'packages/management/src/fencing/proof.ts'), 'utf8');
    expect(source).toContain('export function proofMaker(');
  });
});

describe('rule files only compute', () => {
  const paths = ['src/ha/rules.ts', 'src/hosts/statusRules.ts', 'src/rules/alarms.ts'];

  test.each([
    ['export async function f() {}', 'no async'],
    ['export const f = async () => 1;', 'no async'],
    ['export const f = Promise.resolve(1);', 'no Promise'],
    ["import { x } from '../adapters/x.js';", 'knows no adapter'],
    ['class A { async f() {} }', 'no async'],
    ['const x = { async f() {} };', 'no async'],
  ])('%s: %s', (source, text) => {
    for (const path of paths)
      expect(problemsOf(`packages/management/${path}`, source).join()).toContain(text);
    expect(problemsOf('packages/management/src/x.ts', `/** @rules */\n${source}`).join()).toContain(
      text,
    );
  });

  test('other files may be async', () => {
    expect(problemsOf('packages/management/src/x.ts', 'export async function f() {}')).toEqual([]);
  });
});

describe('the packages as they are', () => {
  const real = readdirSync(join(root, 'packages')).flatMap((name) => {
    const text = readIfThere(join(root, 'packages', name, 'package.json'));
    return text === undefined ? [] : [{ name, json: JSON.parse(text) as PackageJson }];
  });

  test('package.json depends on nothing that the table does not allow', () => {
    const facts = real.map(({ name, json }) => ({
      name,
      dependencies: Object.keys(json.dependencies ?? {}),
      exports: Object.keys(json.exports ?? {}),
    }));
    expect(checkPackages(facts)).toEqual([]);
  });

  test('one version for all, and the scope is ours', () => {
    const versions = new Set(real.map(({ json }) => json.version));
    expect(versions.size).toBe(1);
    for (const { name, json } of real) expect(json.name).toBe(`@fenceline/${name}`);
  });

  test('the build references of a package are its dependencies', () => {
    for (const { name, json } of real) {
      const text = readIfThere(join(root, 'packages', name, 'tsconfig.json'));
      if (text === undefined) continue;
      const config = JSON.parse(text) as { references?: { path: string }[] };
      const references = (config.references ?? []).map(({ path }) => path.replace('../', ''));
      const wanted = Object.keys(json.dependencies ?? {})
        .filter((each) => each.startsWith('@fenceline/'))
        .map((each) => each.slice('@fenceline/'.length))
        // C has no TypeScript build.
        .filter((each) => each !== 'native');
      expect([name, new Set(references)]).toEqual([name, new Set(wanted)]);
    }
  });

  test('a dependency that is not allowed is caught', () => {
    const bad = { name: 'agent', dependencies: ['@fenceline/management'], exports: ['.'] };
    expect(checkPackages([bad])).toMatchObject([
      { text: 'agent may not depend on @fenceline/management' },
    ]);
    const unknown = { name: 'extra', dependencies: [], exports: ['.'] };
    expect(checkPackages([unknown])[0]?.text).toContain('in no table');
  });
});

interface PackageJson {
  name: string;
  version: string;
  dependencies?: object;
  exports?: object;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

test('a line number counts characters of every width, behind comments and a hashbang', () => {
  const source = '#!/usr/bin/env node\n// ü€😀\n/* x\n */\nconst now = Date.now();\n';
  expect(problemsOf(RULES, source)[0]).toMatch(/^5: /);
});
