import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { ConfigError, loadConfig } from '@fenceline/common';
import { AgentConfig, relationProblems } from './config.js';

function load(yaml: string, environment: Record<string, string> = {}): AgentConfig {
  return loadConfig(AgentConfig, { source: 'agent.yaml', yaml, environment }, relationProblems);
}

function problems(yaml: string): readonly string[] {
  try {
    load(yaml);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test('an empty file is a valid configuration', () => {
  expect(load('')).toMatchObject({
    agent: { port: 7070, listen: ['0.0.0.0'] },
    stateDir: '/var/lib/fenceline/agent',
    runDir: '/run/fenceline',
    host: { authorizedKeys: '/root/.ssh/authorized_keys' },
  });
});

test('the environment wins over the file, and points the shared directories elsewhere', () => {
  const environment = {
    FENCELINE_STATE_DIR: '/tmp/s',
    FENCELINE_RUN_DIR: '/tmp/r',
    FENCELINE_AGENT__PORT: '7171',
  };
  expect(load('agent: {port: 1}', environment)).toMatchObject({
    stateDir: '/tmp/s',
    runDir: '/tmp/r',
    agent: { port: 7171 },
  });
});

test.each([
  ['agent: {port: 70000}', /agent\.port/, 'out of range'],
  ['agent: {prot: 1}', /prot/, 'an unknown key'],
  ['agent: {listen: []}', /listen/, 'listens nowhere'],
  ['host: {addresses: ["a b"]}', /addresses/, 'no address'],
  ['stateDir: state', /stateDir: an absolute path/, 'relative to nobody knows what'],
  ['stateDir: /a\nrunDir: /a', /must differ/, 'the records of a boot would survive it'],
  ['libvirt: {timeoutMs: 1}', /timeoutMs/, 'no virsh is that quick'],
  ['log: {level: loud}', /level/, 'no such level'],
] as const)('%s is refused', (yaml, pattern, _why) => {
  expect(problems(yaml).join('\n')).toMatch(pattern);
});

test('F27: the door: its port is not that of the agent, and its address no name', () => {
  expect(load('').fenceDoor).toMatchObject({ port: 7071 });
  expect(problems('fenceDoor: {port: 0, listen: "::"}')).toEqual([]);
  expect(problems('fenceDoor: {port: 7070}').join()).toContain(
    'fenceDoor.port must not be agent.port',
  );
  expect(problems('fenceDoor: {listen: localhost}').join()).toContain('fenceDoor.listen');
  expect(problems('fenceDoor: {port: 65536}').join()).toContain('fenceDoor.port');
});

test('the example in docs/OPERATIONS.md is one that is accepted', () => {
  const page = readFileSync(path.join(import.meta.dirname, '../../../docs/OPERATIONS.md'), 'utf8');
  const example = /```yaml\n(# \/etc\/fenceline\/agent\.yaml[^]*?)```/.exec(page)?.[1] ?? '';
  expect(example).not.toBe('');
  expect(load(example)).toMatchObject({ agent: { listen: ['192.0.2.11'] } });
});
