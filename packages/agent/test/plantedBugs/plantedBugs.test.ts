import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

// Planting all of them takes minutes and is done by hand; that none is missing takes a moment.
test.each(['fence.mjs', 'native.mjs'])(
  '%s: every safety line has a planted bug, and every bug its place',
  (script) => {
    const { status, stdout } = spawnSync(
      process.execPath,
      [join(import.meta.dirname, script), '--check'],
      { encoding: 'utf8' },
    );
    expect([status, stdout]).toEqual([0, '']);
  },
);
