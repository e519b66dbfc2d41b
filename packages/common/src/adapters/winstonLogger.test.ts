import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from '../clock.js';
import { Secret } from '../secret.js';
import { systemClock } from './systemClock.js';
import { winstonLogger } from './winstonLogger.js';

const write = process.stderr.write.bind(process.stderr);
let printed = '';
let dir = '';

beforeEach(() => {
  printed = '';
  dir = mkdtempSync(join(tmpdir(), 'fenceline-log-'));
  process.stderr.write = (text: string | Uint8Array) => {
    printed += String(text);
    return true;
  };
});

afterEach(() => {
  process.stderr.write = write;
  rmSync(dir, { recursive: true });
});

async function linesOf(file: string, count: number): Promise<Record<string, unknown>[]> {
  for (let tries = 0; tries < 200; tries += 1) {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    if (lines.length >= count && lines[0] !== '')
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    await sleep(systemClock, 10);
  }
  throw new Error(`no ${count} lines in ${file}`);
}

describe('the log', () => {
  test('has a line of JSON with time, level and facts for each sentence', async () => {
    const file = join(dir, 'server.log');
    const log = winstonLogger({ level: 'info', file }).child({ hostUuid: 'h1' }, 'host:');
    log.debug('not asked for');
    log.warn('host suspected', { silentMs: 3_000, password: new Secret('canary') });
    const [line] = await linesOf(file, 1);
    expect(line).toMatchObject({
      level: 'warn',
      message: 'host: host suspected',
      hostUuid: 'h1',
      silentMs: 3_000,
      password: '[secret]',
    });
    expect(Date.parse(String(line?.['timestamp']))).toBeGreaterThan(0);
    expect(printed).toContain('host suspected');
    expect(printed).not.toContain('not asked for');
  });

  test('facts never take the place of sentence, level or time; errors say what they say', async () => {
    const file = join(dir, 'server.log');
    const facts = { message: 'm', level: 'l', timestamp: 't', why: new Error('no route') };
    winstonLogger({ level: 'info', file }).error('connect failed', facts);
    const [line] = await linesOf(file, 1);
    expect(line).toMatchObject({
      message: 'connect failed',
      level: 'error',
      message_: 'm',
      level_: 'l',
      timestamp_: 't',
      why: 'no route',
    });
  });

  test('facts that are no JSON do not throw', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const log = winstonLogger({ level: 'info' });
    expect(() => log.info('odd', { circular, big: 5n, fn: () => 1 })).not.toThrow();
    expect(printed).toContain('odd');
  });

  test('a full disk is told once, and ends nothing', async () => {
    const log = winstonLogger({ level: 'info', file: '/dev/full' });
    for (let i = 0; i < 5; i += 1) {
      log.info('a line');
      await sleep(systemClock, 20);
    }
    expect(printed.split('the log file can not be written')).toHaveLength(2);
    expect(printed.split('"a line"').length).toBeGreaterThan(4);
  });
});
