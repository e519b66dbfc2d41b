import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const LIMIT_MS = 480_000;
const demo = path.resolve(import.meta.dirname, '../../../../scripts/demo');

interface Ended {
  code: number | null;
  output: string;
}

/** Runs `./scripts/demo …` as its user would. */
function runDemo(
  args: readonly string[],
  onOutput: (output: string, interrupt: () => void) => void = () => undefined,
): Promise<Ended & { dir: string }> {
  const dir = mkdtempSync(path.join(tmpdir(), 'fld-'));
  const labDir = path.join(dir, 'lab');
  return new Promise((resolve, reject) => {
    const child = spawn(demo, args, {
      env: { ...process.env, FENCELINE_LAB_DIR: labDir, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const take = (text: string): void => {
      output += text;
      onOutput(output, () => child.kill('SIGINT'));
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output, dir }));
  });
}

interface Scenario {
  name: string;
  outcome: string;
  asPromised: boolean;
  startsSent: number;
  liveWriters: number;
  endToEndMs: number;
  stages: { name: string; ms: number }[];
}

/** The lines that say why a scenario failed; first, where a long output is cut. */
function reasonIn(output: string): string {
  const lines = output.split('\n');
  const at = lines.findIndex((line) => /could not be played|NOT AS PROMISED/.test(line));
  return at === -1 ? 'no word why' : lines.slice(at, at + 5).join(' ');
}

test(
  'the demo: every scenario is as promised, for people and for programs',
  async () => {
    const file = path.join(mkdtempSync(path.join(tmpdir(), 'fld-')), 'result.json');
    const { code, output, dir } = await runDemo(['--scenario', 'all', '--json', file]);
    const json = JSON.parse(readFileSync(file, 'utf8')) as { scenarios: Scenario[] };
    const word = (name: string): Partial<Scenario> => {
      const found = json.scenarios.find((scenario) => scenario.name === name);
      if (found?.asPromised !== true) throw new Error(`${name}: ${reasonIn(output)}\n${output}`);
      const { outcome, asPromised, startsSent, liveWriters } = found;
      return { outcome, asPromised, startsSent, liveWriters };
    };
    const restarted = { outcome: 'restarted', asPromised: true, startsSent: 1, liveWriters: 1 };
    expect(word('leftover')).toEqual(restarted);
    expect(word('dead')).toEqual(restarted);
    expect(word('dead-no-power')).toEqual({
      outcome: 'refused',
      asPromised: true,
      startsSent: 0,
      liveWriters: 1,
    });
    expect(word('stuck')).toEqual(restarted);
    expect(code).toBe(0);
    expect(output).toContain('confirm-dead h1');
    expect(existsSync(path.join(dir, 'lab'))).toBe(false);
  },
  LIMIT_MS,
);

test(
  'the demo: interrupted in the middle it leaves nothing behind',
  async () => {
    let interrupted = false;
    const { code, dir } = await runDemo(['--scenario', 'dead'], (output, interrupt) => {
      if (interrupted || !output.includes('an agent on h1')) return;
      interrupted = true;
      interrupt();
    });
    expect(interrupted).toBe(true);
    expect(code).toBe(130);
    expect(existsSync(path.join(dir, 'lab'))).toBe(false);
  },
  LIMIT_MS,
);
