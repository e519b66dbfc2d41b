import { expect, test } from '@jest/globals';
import type { AgentConfig } from './config.js';
import { DEFAULT_CONFIG_FILE, runProgram } from './program.js';

interface Ran {
  code: number;
  out: string;
  err: string;
  agent: AgentConfig | undefined;
}

async function program(
  argv: readonly string[],
  files: Record<string, string> = {},
  failure?: Error,
): Promise<Ran> {
  const ran: Ran = { code: -1, out: '', err: '', agent: undefined };
  ran.code = await runProgram(argv, {
    environment: {},
    readFile: (path) => {
      if (path === '/secret') throw new Error('EACCES: permission denied');
      return files[path];
    },
    out: (text) => (ran.out += text),
    err: (text) => (ran.err += text),
    runAgent: async (config) => {
      ran.agent = config;
      if (failure !== undefined) throw failure;
    },
  });
  return ran;
}

test('without a file the defaults hold', async () => {
  expect(await program([])).toMatchObject({ code: 0, err: '', agent: { agent: { port: 7070 } } });
});

test('the default file is read if it is there', async () => {
  const ran = await program([], { [DEFAULT_CONFIG_FILE]: 'agent: {port: 7171}' });
  expect(ran).toMatchObject({ code: 0, agent: { agent: { port: 7171 } } });
});

test('--check-config starts nothing', async () => {
  const ran = await program(['--config', '/a.yaml', '--check-config'], { '/a.yaml': '' });
  expect(ran).toMatchObject({ code: 0, out: '/a.yaml: the configuration is valid\n', err: '' });
  expect(ran.agent).toBeUndefined();
});

test.each([
  // arguments                      code  says                              why
  [
    ['--config', '/none.yaml'],
    2,
    /\/none\.yaml:\n  there is no such file/,
    'a file that was named',
  ],
  [['--config', '/secret'], 2, /\/secret:\n  can't be read: EACCES/, 'not readable'],
  [
    ['--config', '/bad.yaml'],
    2,
    /agent\.port.*\n.*prot: unknown setting|prot: unknown setting/,
    'problems',
  ],
  [['--config', '/no.yaml'], 2, /not valid YAML/, 'corrupt'],
  [['--wrong'], 2, /unknown option/, 'usage'],
  [['extra'], 2, /too many arguments/, 'usage'],
] as const)('%j ends with %i and says %s: %s', async (argv, code, says, _why) => {
  const files = { '/bad.yaml': 'agent: {port: 0, prot: 1}', '/no.yaml': 'a: [' };
  const ran = await program(argv, files);
  expect(ran).toMatchObject({ code, out: '', agent: undefined });
  expect(ran.err).toMatch(says);
  expect(ran.err).not.toContain('    at ');
});

test('an agent that can not start says why in one line, without a stack trace', async () => {
  const ran = await program([], {}, new Error('port 7070 is in use by another program'));
  expect(ran).toMatchObject({
    code: 1,
    err: 'fenceline-agent: port 7070 is in use by another program\n',
  });
});

test('--version and --help end with 0', async () => {
  expect(await program(['--version'])).toMatchObject({ code: 0, out: '0.1.0\n' });
  expect((await program(['--help'])).out).toContain('--check-config');
});
