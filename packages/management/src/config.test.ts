import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ConfigError } from '@fenceline/common';
import { describe, expect, test } from '@jest/globals';
import { loadServerConfig, type ServerConfig } from './config.js';

const load = (yaml: string, environment: Record<string, string> = {}): ServerConfig =>
  loadServerConfig({ source: 'server.yaml', yaml, environment });

function problemsOf(yaml: string, environment: Record<string, string> = {}): readonly string[] {
  try {
    load(yaml, environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('an empty file is a complete configuration', () => {
  const config = load('');
  expect(config.server.port).toBe(8443);
  expect(config.stateDir).toBe('/var/lib/fenceline/server');
  expect(config.ha.preFence.mode).toBe('required');
});

test('an empty section keeps its defaults', () => {
  expect(load('server:\nha:\n').server.port).toBe(8443);
});

test('the environment wins over the file', () => {
  const config = load('server: {port: 9000}\nha: {preFence: {mode: required}}', {
    FENCELINE_SERVER__PORT: '9001',
    FENCELINE_HA__PRE_FENCE__MODE: 'whenHinted',
  });
  expect(config.server.port).toBe(9001);
  expect(config.ha.preFence.mode).toBe('whenHinted');
});

describe('what is wrong is told, all at once', () => {
  test.each([
    ['server: {port: 0}', ['server.port'], 'a port out of range'],
    ['stateDir: state', ['stateDir'], 'a relative path'],
    ['servr: {}', ['servr: unknown setting'], 'an unknown section'],
    ['server: {prt: 1}', ['server.prt: unknown setting'], 'an unknown key inside'],
    ['ha: {preFence: {mode: maybe}}', ['ha.preFence.mode'], 'a value that is none of the list'],
    ['server: 5', ['server'], 'a number where a section belongs'],
    ['[1, 2]', ['top level'], 'a list at the top'],
    ['a: [', ['not valid YAML'], 'text that is no YAML'],
    [
      'servr: 1\nserver: {port: 0}\nstateDir: x',
      ['servr', 'server.port', 'stateDir'],
      'three mistakes in one file',
    ],
    [
      'ha: {detect: {heartbeatEveryMs: 1000, silentAfterMs: 2000}}',
      ['at least 3 heartbeats'],
      'two settings that do not fit each other',
    ],
    [
      'ha: {preFence: {sshTimeoutSec: 1, killGraceMs: 60000, connectTimeoutMs: 60000}}',
      ['ha.preFence.killGraceMs (60000 ms)', 'ha.preFence.connectTimeoutMs (60000 ms)'],
      'F16, F23: times of a fence that no fence could keep',
    ],
    [
      'ha: {preFence: {channels: [mailbox, storage]}}',
      ['ha.preFence.channels (mailbox, storage) must name peer, own-agent or power'],
      'channels behind which nothing stands',
    ],
  ])('%s', (yaml, expected, why) => {
    const problems = problemsOf(yaml);
    expect({ why, problems }).toEqual({ why, problems: expect.anything() });
    for (const part of expected) expect(problems.join('\n')).toContain(part);
  });
});

test('the example in docs/OPERATIONS.md is one that is accepted', () => {
  const page = readFileSync(path.join(import.meta.dirname, '../../../docs/OPERATIONS.md'), 'utf8');
  const example = /```yaml\n(# \/etc\/fenceline\/server\.yaml[^]*?)```/.exec(page)?.[1] ?? '';
  expect(example).not.toBe('');
  expect(load(example)).toMatchObject({ server: { address: '192.0.2.2' } });
});
