/** The architecture as tables (docs/ARCHITECTURE.md). The checks below them only read these. */

/** Which package may import which, by `@fenceline/NAME`. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  common: ['protocol'],
  /** C programs; the agent carries what is built of them. */
  native: [],
  agent: ['protocol', 'common', 'native'],
  management: ['protocol', 'common'],
  cli: ['protocol', 'common'],
  lab: ['protocol', 'common'],
  console: ['protocol'],
  simulator: ['protocol', 'common', 'agent', 'management', 'cli', 'lab'],
  e2e: ['protocol', 'common', 'agent', 'management', 'cli', 'lab'],
  bench: ['protocol', 'common', 'agent', 'management', 'cli', 'lab'],
};

/** Packages that drive a real machine: no port stands between them and it. */
export const DRIVES_THE_MACHINE: readonly string[] = ['lab', 'e2e', 'bench'];

/** Packages without a Node API: they run in a browser too. */
export const WITHOUT_NODE: readonly string[] = ['protocol'];

/** Impure globals, and what to take instead. */
export const IMPURE_GLOBALS: Readonly<Record<string, string>> = {
  performance: 'take a Clock',
  setTimeout: 'take a Clock (after, sleep, withLimit)',
  clearTimeout: 'take a Clock (after, sleep, withLimit)',
  setInterval: 'take a Clock (after, sleep)',
  clearInterval: 'take a Clock (after, sleep)',
  setImmediate: 'take a Clock',
  clearImmediate: 'take a Clock',
  fetch: 'take a Transport or a port of your own',
  WebSocket: 'take a port of your own',
  EventSource: 'take a StreamTransport',
  process: 'let main.ts or compose.ts pass in what is needed',
  globalThis: 'name what is needed',
  global: 'name what is needed',
  require: 'import it',
};

/** Impure members of globals whose other members are pure. */
export const IMPURE_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  Date: ['now'],
  Math: ['random'],
  AbortSignal: ['timeout'],
  crypto: ['getRandomValues', 'randomUUID', 'subtle'],
};

/** Node modules behind which the world is. */
export const IMPURE_MODULES: readonly string[] = (
  'child_process cluster dgram dns dns/promises fs fs/promises http http2 https inspector net os ' +
  'perf_hooks process readline readline/promises repl sqlite timers timers/promises tls tty v8 vm ' +
  'worker_threads'
).split(' ');

/** node:crypto is pure but for these. */
export const IMPURE_CRYPTO = /^(?:random|getRandom|webcrypto|generate|subtle)/;

/** Libraries that are adapters' business. */
export const ADAPTER_LIBRARIES: readonly string[] = [
  'axios',
  'better-sqlite3',
  'express',
  'ssh2',
  'winston',
];

/** What @fenceline/common exports from its adapters: for compositions, not for domains. */
export const COMMON_ADAPTERS: readonly string[] = [
  'axiosTransport',
  'identifyByCertificate',
  'readTlsFiles',
  'startHttpServer',
  'systemClock',
  'systemRandom',
  'winstonLogger',
];

/** Names that only one folder may import: whoever has them can make what others must be given. */
export const RESERVED: readonly { name: string; from: string; folder: string; why: string }[] = [
  {
    name: 'proofMaker',
    from: 'packages/management/src/fencing/proof.js',
    folder: 'packages/management/src/fencing/proofs/',
    why: 'only the rules of fencing make proofs',
  },
];

/** What kind of file this is; it decides what it may touch. */
export interface FileKind {
  package: string;
  /** Tests and what only tests use. */
  test: boolean;
  /** May touch the world. */
  adapter: boolean;
  /** May name adapters: it puts the program together. */
  composition: boolean;
  /** Only computes (style: what is decided is a pure function). */
  rules: boolean;
}

/** @param path from the repository's root, with slashes. */
export function kindOf(path: string, leadingComment: string): FileKind {
  const [, name = '', ...rest] = path.split('/');
  const inside = rest.join('/');
  const base = rest.at(-1) ?? '';
  const test = base.endsWith('.test.ts') || rest[0] === 'test' || rest.includes('testing');
  const adapter =
    rest.includes('adapters') || base === 'main.ts' || DRIVES_THE_MACHINE.includes(name);
  return {
    package: name,
    test,
    adapter,
    composition: adapter || test || /^compose.*\.ts$/i.test(base) || inside === 'src/index.ts',
    rules:
      !test &&
      !adapter &&
      (rest.includes('rules') ||
        /(?:^rules|Rules)\.ts$/.test(base) ||
        leadingComment.includes('@rules')),
  };
}
