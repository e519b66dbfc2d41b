import { describe, expect, test } from '@jest/globals';
import { Optional, Part, Port, Text } from '@fenceline/protocol';
import { IsIn, IsInt, IsObject, Max, Min } from 'class-validator';
import { ConfigError, loadConfig, SecretText, type ConfigSources } from './config.js';
import { Secret } from './secret.js';

const MODES = ['required', 'whenHinted'] as const;

class PreFence {
  @IsIn(MODES) mode: (typeof MODES)[number] = 'required';
  @IsInt() @Min(1) @Max(300) sshTimeoutSec = 20;
}

class Ha {
  @Part(() => PreFence) preFence = new PreFence();
  @IsInt() @Min(100) heartbeatEveryMs = 1_000;
  @IsInt() @Min(100) silentAfterMs = 3_000;
}

class Sample {
  @Part(() => Ha) ha = new Ha();
  @Port() port = 8443;
  @Text(64) name = 'server';
  @IsInt() reserveMemoryMiB = 1_024;
  @Optional() @Text(64) label: string | undefined = undefined;
  @Optional() @SecretText() password: Secret | undefined = undefined;
  @IsObject() labels: Record<string, string> = {};
}

function relations({ ha }: Sample): string[] {
  const beats = ha.silentAfterMs / ha.heartbeatEveryMs;
  return beats < 3 ? [`silentAfterMs spans ${beats} heartbeats; at least 3 needed`] : [];
}

function load(sources: Partial<ConfigSources>): Sample {
  return loadConfig(
    Sample,
    { source: 'server.yaml', yaml: '', environment: {}, ...sources },
    relations,
  );
}

function problemsOf(sources: Partial<ConfigSources>): readonly string[] {
  try {
    load(sources);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe('configuration', () => {
  test('nothing given: the defaults', () => {
    expect(load({})).toEqual(new Sample());
    expect(load({ yaml: '# nothing yet\n' })).toEqual(new Sample());
  });

  test('file, then environment, then flags', () => {
    const config = load({
      yaml: 'port: 1\nname: file\nha:\n  preFence:\n    sshTimeoutSec: 5\n    mode: whenHinted\n',
      environment: { FENCELINE_NAME: 'environment', FENCELINE_HA__PRE_FENCE__SSH_TIMEOUT_SEC: '6' },
      flags: { ha: { preFence: { sshTimeoutSec: 7 } }, name: undefined },
    });
    expect(config).toMatchObject({
      port: 1,
      name: 'environment',
      ha: { preFence: { sshTimeoutSec: 7, mode: 'whenHinted' }, heartbeatEveryMs: 1_000 },
    });
    expect(config.ha.preFence).toBeInstanceOf(PreFence);
  });

  test.each<[Record<string, string>, object, string]>([
    [
      { FENCELINE_HA__PRE_FENCE__MODE: 'whenHinted' },
      { ha: { preFence: { mode: 'whenHinted' } } },
      'nested',
    ],
    [{ FENCELINE_PORT: '99' }, { port: 99 }, 'a number'],
    [{ FENCELINE_NAME: '99' }, { name: '99' }, 'text stays text'],
    [{ FENCELINE_LABEL: 'no' }, { label: 'no' }, 'text too where there is no default'],
    [{ FENCELINE_RESERVE_MEMORY_MIB: '5' }, { reserveMemoryMiB: 5 }, 'a unit is one word'],
    [{ FENCELINE_LABELS: '{a: b}' }, { labels: { a: 'b' } }, 'a free map'],
    [{ FENCELINE_NAME: '' }, { name: 'server' }, 'an empty one is not set'],
    [{ FENCELINE_URL: 'https://x', PATH: '/bin' }, {}, 'names of other programs are theirs'],
  ])('environment %j sets %j: %s', (environment, expected) => {
    expect(load({ environment })).toMatchObject(expected);
  });

  test.each<[Partial<ConfigSources>, string[], string]>([
    [{ yaml: 'prot: 1' }, ['prot: unknown setting'], 'a misspelt key'],
    [{ yaml: 'ha: {preFence: {timeout: 1}}' }, ['ha.preFence.timeout: unknown setting'], 'nested'],
    [{ yaml: '__proto__: {port: 1}' }, ['(a key that is no name): unknown setting'], 'prototypes'],
    [{ yaml: 'constructor: 1' }, ['constructor: unknown setting'], 'inherited names'],
    [
      { environment: { FENCELINE_HA__PREFENCE__MODE: 'required' } },
      ['FENCELINE_HA__PREFENCE__MODE: unknown setting'],
      'a misspelt variable must not be lost',
    ],
    [{ yaml: 'ha: 5' }, ['ha: '], 'a section is a map'],
    [{ yaml: 'ha: [1]' }, ['ha: '], 'not a list'],
    [{ yaml: 'port: "8443"' }, ['port: '], 'no text where a number is meant'],
    [{ yaml: '- a' }, ['the top level must be a map of settings'], 'a list'],
    [{ yaml: 'port' }, ['the top level must be a map of settings'], 'a word'],
    [{ yaml: 'a: b: c' }, ['not valid YAML at line 1, column 4'], 'where it is wrong'],
    [{ environment: { FENCELINE_PORT: '[1' } }, ['FENCELINE_PORT: not valid YAML'], 'a variable'],
    [
      { environment: { FENCELINE_PORT: 'x' } },
      ['FENCELINE_PORT: port '],
      'the rule of the setting',
    ],
    [{ flags: { port: 0 } }, ['port: '], 'a flag'],
    [
      { flags: { port: 0 }, environment: { FENCELINE_PORT: '1' } },
      ['port: '],
      'the flag is to blame, not the variable that it covers',
    ],
    [
      { yaml: 'ha: {silentAfterMs: 2000}' },
      ['silentAfterMs spans 2 heartbeats; at least 3 needed'],
      'a relation, with its numbers',
    ],
  ])('%j: %j (%s)', (sources, expected) => {
    const problems = problemsOf(sources);
    expect(problems).not.toHaveLength(0);
    for (const [i, start] of expected.entries()) expect(problems[i]).toContain(start);
  });

  test('lists every problem at once', () => {
    const problems = problemsOf({
      yaml: 'prot: 1\nport: 0\nha:\n  preFence: {mode: never, sshTimeoutSec: 999, x: 1}\n',
      environment: { FENCELINE_HA__NONE: '1', FENCELINE_RESERVE_MEMORY_MIB: '[' },
    });
    expect(problems.map((problem) => problem.split(':')[0])).toEqual([
      'prot',
      'ha.preFence.x',
      'FENCELINE_HA__NONE',
      'FENCELINE_RESERVE_MEMORY_MIB',
      'ha.preFence.mode',
      'ha.preFence.sshTimeoutSec',
      'port',
    ]);
  });

  test('a broken relation is told beside an unknown key', () => {
    const problems = problemsOf({ yaml: 'prot: 1\nha: {silentAfterMs: 500}' });
    expect(problems).toHaveLength(2);
    expect(problems[1]).toContain('heartbeats');
  });

  test('a section with nothing under it keeps its defaults', () => {
    expect(load({ yaml: 'ha:\nport: 9\n' })).toMatchObject({ port: 9, ha: new Ha() });
    expect(load({ yaml: 'ha:\n  preFence:\n' }).ha.preFence.sshTimeoutSec).toBe(20);
  });

  test('a secret is one from the moment it is read', () => {
    const fromFile = load({ yaml: 'password: "12345"' }).password;
    const fromVariable = load({ environment: { FENCELINE_PASSWORD: '12345' } }).password;
    for (const password of [fromFile, fromVariable]) {
      expect(password).toBeInstanceOf(Secret);
      expect(password?.reveal()).toBe('12345');
    }
    expect(load({ yaml: 'password:' }).password).toBeUndefined();
  });

  test.each<[Partial<ConfigSources>, string]>([
    [{ yaml: 'password: [canary]' }, 'a wrong type'],
    [{ yaml: 'password: {canary: canary}' }, 'a map'],
    [{ yaml: `password: "${'canary'.repeat(1_000)}"` }, 'too long'],
    [{ yaml: 'password: "canary' }, 'a quote that does not end'],
    [{ yaml: 'password: *canary' }, 'an alias'],
    [{ yaml: 'password:canary: 1' }, 'a forgotten space'],
    [{ yaml: 'password:canary' }, 'a forgotten space, alone'],
    [{ yaml: 'port: canary' }, 'in the wrong place'],
    [{ yaml: 'ha: {preFence: {mode: canary}}' }, 'where only some words are allowed'],
    [{ environment: { FENCELINE_PORT: 'canary: [' } }, 'a variable'],
    [{ yaml: 'password: !canary x: y' }, 'a tag'],
  ])('no value is ever quoted: %j (%s)', (sources) => {
    const problems = problemsOf(sources);
    expect(problems).not.toHaveLength(0);
    expect(problems.join('\n')).not.toContain('canary');
  });

  test('the error names its source and reads as a sentence', () => {
    expect(() => load({ yaml: 'prot: 1' })).toThrow('server.yaml: prot: unknown setting');
  });
});
