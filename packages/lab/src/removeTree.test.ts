import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { removeTree } from './removeTree.js';

const FILES = 100;

function makeTree(): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'lab-tree-'));
  mkdirSync(path.join(dir, 'a/b'), { recursive: true });
  for (let i = 0; i < FILES; i += 1) {
    writeFileSync(path.join(dir, `f${i}`), 'x');
    writeFileSync(path.join(dir, `a/b/g${i}`), 'x');
  }
  return dir;
}

test('a tree is gone, also when somebody else removes files of it meanwhile', async () => {
  for (let round = 0; round < 8; round += 1) {
    const dir = makeTree();
    const other = spawn('sh', ['-c', 'cd "$1" && rm -f f1* a/b/g2*', 'sh', dir], {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    const ended = once(other, 'close');
    await once(other, 'spawn');
    await removeTree(dir);
    expect(existsSync(dir)).toBe(false);
    await ended;
  }
});

test('what is not there is no error', async () => {
  await removeTree(path.join(tmpdir(), 'lab-tree-that-is-not-there'));
});
