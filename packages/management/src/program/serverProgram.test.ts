import { Secret, type TlsFiles } from '@fenceline/common';
import { recordingLogger } from '@fenceline/common/testing';
import { DomainError } from '@fenceline/protocol';
import { describe, expect, test } from '@jest/globals';
import type { ComposeOptions, Server } from '../composeTypes.js';
import { StoreError } from '../store/store.js';
import { runServer, type ServerWorld } from './serverProgram.js';

const TOKEN = 'fenceline_canary';
const tls: TlsFiles = { ca: 'ca', cert: 'cert', key: 'key' };
const withCode = (code: string): Error => Object.assign(new Error(`it failed: ${code}`), { code });

interface Machine {
  yaml?: string;
  /** What reading the configuration throws. */
  unreadable?: string;
  compose?: () => Promise<Server>;
  tlsProblem?: string;
  tokenFileProblem?: string;
}

/** A machine whose signal has come already: the server starts, and stops at once. */
function machine(given: Machine = {}) {
  const { log, lines } = recordingLogger();
  const seen = {
    out: [] as string[],
    err: [] as string[],
    composed: [] as ComposeOptions[],
    files: [] as string[][],
    stopped: 0,
  };
  const server: Server = {
    port: 8443,
    adminToken: new Secret(TOKEN),
    stop: async () => {
      seen.stopped += 1;
    },
  };
  const world: ServerWorld = {
    environment: {},
    readText: () => {
      if (given.unreadable !== undefined) throw withCode(given.unreadable);
      if (given.yaml === undefined) throw withCode('ENOENT');
      return given.yaml;
    },
    readTls: () => {
      if (given.tlsProblem !== undefined) throw new Error(given.tlsProblem);
      return tls;
    },
    writePrivate: (path, text) => {
      if (given.tokenFileProblem !== undefined) throw withCode(given.tokenFileProblem);
      seen.files.push([path, text]);
    },
    out: (line) => seen.out.push(line),
    err: (line) => seen.err.push(line),
    makeLogger: () => log,
    compose: async (options) => {
      seen.composed.push(options);
      return given.compose === undefined ? server : given.compose();
    },
    stopAsked: () => Promise.resolve('SIGTERM'),
  };
  return { world, seen, lines };
}

test('it starts, tells the admin token once, stops in order on a signal', async () => {
  const { world, seen, lines } = machine();
  expect(await runServer([], world)).toBe(0);
  expect(seen.out).toEqual([`Admin token, shown this once: ${TOKEN}`]);
  expect(seen.err).toEqual([]);
  expect(seen.stopped).toBe(1);
  expect(JSON.stringify(lines)).not.toContain(TOKEN);
});

test('--token-file gets the token, and nothing else does', async () => {
  const { world, seen, lines } = machine();
  expect(await runServer(['--token-file', '/run/token'], world)).toBe(0);
  expect(seen.files).toEqual([['/run/token', `${TOKEN}\n`]]);
  expect(JSON.stringify([seen.out, seen.err, lines])).not.toContain(TOKEN);
});

test('flags win over the file and reach the composition', async () => {
  const { world, seen } = machine({ yaml: 'server: {port: 9000, address: 127.0.0.1}' });
  await runServer(['--port', '9001', '--state-dir', '/srv/f', '--new-admin-token'], world);
  expect(seen.composed).toEqual([
    expect.objectContaining({
      newAdminToken: true,
      config: expect.objectContaining({
        stateDir: '/srv/f',
        server: { port: 9001, address: '127.0.0.1' },
      }),
    }),
  ]);
});

test('--check-config builds nothing', async () => {
  const { world, seen } = machine({ yaml: 'server: {port: 9000}' });
  expect(await runServer(['--config', '/etc/x.yaml', '--check-config'], world)).toBe(0);
  expect(seen.out).toEqual(['/etc/x.yaml: the configuration is valid']);
  expect(seen.composed).toEqual([]);
});

describe('a mistake is told in a sentence that says what to do, without a stack trace', () => {
  const composeThrows = (error: Error): Machine => ({ compose: () => Promise.reject(error) });
  test.each<[string, Machine, string[], number, string]>([
    ['no such option', {}, ['--prot', '1'], 2, 'unknown option'],
    ['an excess word', {}, ['start'], 2, 'too many arguments'],
    ['no such file', {}, ['--config', '/x.yaml'], 2, 'name a file with --config'],
    ['a file that may not be read', { unreadable: 'EACCES' }, [], 2, 'EACCES'],
    ['a corrupt file', { yaml: 'server: [' }, [], 2, 'not valid YAML'],
    ['two wrong settings', { yaml: 'a: 1\nstateDir: x' }, [], 2, 'stateDir'],
    ['a port that is no number', {}, ['--port', 'https'], 2, 'server.port'],
    [
      'a missing certificate',
      { tlsProblem: "can't read the TLS file /c.pem (ENOENT)" },
      [],
      1,
      'put the file there',
    ],
    [
      'a key of another certificate',
      { tlsProblem: "can't use the TLS files /c.pem and /k.pem: they must belong together" },
      [],
      1,
      'must belong together; see the section tls',
    ],
    [
      'a key that TLS does not take',
      composeThrows(withCode('ERR_OSSL_X509_KEY_VALUES_MISMATCH')),
      [],
      1,
      'certificate and key belong together',
    ],
    ['a port in use', composeThrows(withCode('EADDRINUSE')), [], 1, 'port 8443 of :: is in use'],
    ['a foreign address', composeThrows(withCode('EADDRNOTAVAIL')), [], 1, 'server.address'],
    ['a low port', composeThrows(withCode('EACCES')), [], 1, 'above 1023'],
    [
      'a second server',
      composeThrows(new StoreError('LOCKED', 'another server uses it; stop it')),
      [],
      1,
      'another server uses it; stop it',
    ],
    [
      'a damaged database',
      composeThrows(new StoreError('CORRUPT', 'damaged; restore a backup')),
      [],
      1,
      'restore a backup',
    ],
    [
      'a full disk',
      composeThrows(new StoreError('FULL', 'no space left; free some')),
      [],
      1,
      'free some',
    ],
    [
      'stored settings that fit no more',
      composeThrows(new DomainError('BAD_INPUT', 'at least 3 heartbeats')),
      [],
      1,
      'Change the file',
    ],
    ['a defect', composeThrows(new Error('boom')), [], 1, 'The log has the details'],
    [
      'a token file that can not be written',
      { tokenFileProblem: 'EACCES' },
      ['--token-file', '/x/t'],
      1,
      '--new-admin-token',
    ],
  ])('%s', async (_what, given, argv, exitCode, text) => {
    const { world, seen } = machine(given);
    const code = await runServer(argv, world);
    const said = seen.err.join('\n');
    expect([code, said]).toEqual([exitCode, expect.stringContaining(text)]);
    expect(said).not.toMatch(/\n\s+at /);
    expect(said).not.toContain(TOKEN);
  });

  test('several problems of a file are told together', async () => {
    const { world, seen } = machine({ yaml: 'a: 1\nstateDir: x\nserver: {port: 0}' });
    await runServer([], world);
    const said = seen.err.join('\n');
    for (const part of ['a: unknown', 'stateDir', 'server.port']) expect(said).toContain(part);
  });

  test('a server whose token could not be handed over is stopped', async () => {
    const { world, seen } = machine({ tokenFileProblem: 'ENOENT' });
    await runServer(['--token-file', '/x/t'], world);
    expect(seen.stopped).toBe(1);
  });
});
