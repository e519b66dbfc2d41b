import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { projectRoot } from '../plan/paths.js';
import { labSettings } from './configFiles.js';

function leaves(section: object, at: string): string[] {
  return Object.entries(section).flatMap(([key, value]: [string, unknown]) => {
    const name = at === '' ? key : `${at}.${key}`;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? leaves(value, name)
      : [name];
  });
}

test('README names every setting that the demo sets apart from the defaults', () => {
  const text = readFileSync(path.join(projectRoot, 'README.md'), 'utf8');
  const told = /It sets apart from the defaults[^]*?\n- /.exec(text)?.[0] ?? '';
  const names = leaves(labSettings, '');
  expect(names.length).toBeGreaterThan(3);
  expect(names.filter((name) => !told.includes(`\`${name}`))).toEqual([]);
});
