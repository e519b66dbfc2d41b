import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
let dir = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fenceline-lint-'));
});

afterEach(() => rmSync(dir, { recursive: true }));

interface Report {
  diagnostics: { code: string }[];
}

/** The rules that oxlint, with our configuration, finds broken in these files. */
function brokenBy(files: Record<string, string>): string[] {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  const oxlint = join(root, 'node_modules', '.bin', 'oxlint');
  const configuration = join(root, '.oxlintrc.json');
  let out = '';
  try {
    out = execFileSync(oxlint, ['-c', configuration, '--format', 'json', dir], {
      encoding: 'utf8',
      stdio: 'pipe',
    });
  } catch (error) {
    out = (error as { stdout: string }).stdout;
  }
  return (JSON.parse(out) as Report).diagnostics.map(({ code }) => code);
}

describe('what oxlint refuses', () => {
  test.each<[string, Record<string, string>]>([
    [
      'import(no-cycle)',
      {
        'a.ts': "import { b } from './b.js';\nexport const a = (): number => b;\n",
        'b.ts': "import { a } from './a.js';\nexport const b = 1;\nexport const c = a;\n",
      },
    ],
    ['import(no-default-export)', { 'a.ts': 'export default 1;\n' }],
    ['typescript(no-explicit-any)', { 'a.ts': 'export const a: any = 1;\n' }],
    [
      'typescript(no-non-null-assertion)',
      { 'a.ts': 'export const a = (b?: string) => b!.length;\n' },
    ],
    ['eslint(no-console)', { 'a.ts': 'console.log(1);\n' }],
    ['eslint(max-lines)', { 'a.ts': `export const a = 1;\n${'\n'.repeat(301)}` }],
    [
      'eslint(max-params)',
      { 'a.ts': 'export const a = (b: 1, c: 1, d: 1, e: 1) => [b, c, d, e];\n' },
    ],
    [
      'eslint(max-lines-per-function)',
      { 'a.ts': `export function a(): void {\n${'  void 0;\n'.repeat(61)}}\n` },
    ],
  ])('%s', (rule, files) => {
    expect(brokenBy(files)).toContain(rule);
  });

  test('and nothing in a file that is fine', () => {
    expect(brokenBy({ 'a.ts': 'export const a = (b: number): number => b + 1;\n' })).toEqual([]);
  });
});
