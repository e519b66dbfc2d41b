import fc from 'fast-check';

// Fence commands that break at least one rule, made from a good one: whatever is done to them here
// is against the protocol, so nobody needs to decide afterwards whether a body was bad enough.

const UUID = '11111111-2222-4333-8444-555555555555';
const SUSPECT = '0a000000-0000-4000-8000-00000000000a';
export const CANARY = 'canary-3f9c';

export const goodBody = (): Record<string, unknown> => ({
  vmUuid: UUID,
  fenceEpoch: 7,
  disks: [{ kind: 'file', source: '/srv/web1.img' }],
  targetHostUuid: SUSPECT,
  targetHostIp: '192.0.2.7',
  targetAddresses: ['192.0.2.7', '2001:db8::7'],
  targetAgentPort: 7_070,
  targetHostKeys: ['ssh-ed25519 AAAA'],
  controls: [{ hostUuid: UUID, addresses: ['192.0.2.8'] }],
  targetHostSshPort: 22,
  targetHostUsername: 'root',
  sshTimeoutSec: 5,
  connectTimeoutMs: 1_000,
  killGraceMs: 0,
  taskId: 'task',
});

const junk: fc.Arbitrary<unknown> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.double(),
  fc.boolean(),
  fc.constantFrom<unknown>([], {}, [[]], [null], '', -0, 1e308, '__proto__', 'constructor'),
  fc.object({ maxDepth: 2, maxKeys: 3 }),
);
const notText = fc.oneof(
  fc.double(),
  fc.boolean(),
  fc.constantFrom<unknown>(null, [], {}, ['x'], { toString: 'x' }, { length: 36 }),
);
const shell = fc.constantFrom(
  `$(${CANARY})`,
  '`id`',
  '; reboot',
  '| nc',
  '&& true',
  "'",
  '"',
  '\\',
  '\n',
  '\r\n',
  '\0',
  '${IFS}',
  '../..',
  '%2e%2e',
  '-oProxyCommand=id',
  ' ',
  '\t',
  '\u202e',
  '\ud800',
  'ä',
  `${CANARY}\n`,
);
/** A good text with something in it that must not be. */
const spoiled = (good: string): fc.Arbitrary<string> =>
  fc.tuple(shell, fc.nat(good.length)).map(([bad, at]) => good.slice(0, at) + bad + good.slice(at));
const badUuid = fc.oneof(
  notText,
  spoiled(UUID),
  fc.constantFrom('', UUID.slice(1), `${UUID}0`, `{${UUID}}`, UUID.replaceAll('-', '_')),
);
const badAddress = fc.oneof(
  notText,
  spoiled('192.0.2.7'),
  fc.constantFrom(
    '',
    '192.0.2.256',
    '1',
    '0x7f.1',
    'fe80::1%eth0',
    'a'.repeat(254),
    'h_1',
    '-h',
    'h-',
    'a..b',
    'http://h',
    'h:22',
    '[::1]',
  ),
);
const notWhole = (min: number, max: number): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.nat().map((n) => min - 1 - n),
    fc.nat().map((n) => max + 1 + n),
    fc.double({ noInteger: true, noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom<unknown>(true, '22', [22], {}, '0x16', CANARY),
  );
const badDisk = fc.oneof(
  notText.filter((value) => value !== null),
  fc.constantFrom<unknown>(null),
  fc.record({
    kind: fc.constantFrom<unknown>('nbd', '', null, 7, ['file']),
    source: fc.constant('/x'),
  }),
  fc.record({
    kind: fc.constant('file'),
    source: fc.oneof(notText, fc.constantFrom('', 'x'.repeat(1_025))),
  }),
);
const many = (one: unknown, count: number): unknown[] => Array.from({ length: count }, () => one);
const badList = (item: fc.Arbitrary<unknown>, good: unknown, max: number): fc.Arbitrary<unknown> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.tuple(item, fc.nat(3)).map(([bad, at]) => many(good, at).concat([bad])),
    },
    { weight: 2, arbitrary: fc.constantFrom<unknown>('x', 7, {}, { 0: good, length: 1 }, true) },
    { weight: 1, arbitrary: fc.constant(many(good, max + 1)) },
  );
const control = { hostUuid: UUID, addresses: ['192.0.2.8'] };
const badControl = fc.oneof(
  notText,
  badUuid.map((hostUuid) => ({ ...control, hostUuid })),
  badList(badAddress, '192.0.2.8', 16).map((addresses) => ({ ...control, addresses })),
  fc.constantFrom({ hostUuid: UUID }, { ...control, addresses: [] }, { ...control, sshPort: 0 }),
);
/** Absent and null are allowed there, and JSON makes null of what is no number. */
const badText = (max: number): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.integer(),
    fc.boolean(),
    fc.constantFrom<unknown>([], {}, ['x'], 'x'.repeat(max + 1)),
  );

/** By field, values that its rule refuses. */
const BAD: Record<string, fc.Arbitrary<unknown>> = {
  vmUuid: badUuid,
  fenceEpoch: fc.oneof(notWhole(0, 2 ** 48), fc.constant(null)),
  disks: badList(badDisk, { kind: 'file', source: '/x' }, 64),
  targetHostUuid: badUuid,
  targetHostIp: badAddress,
  targetAddresses: badList(badAddress, '192.0.2.7', 16),
  targetAgentPort: notWhole(1, 65_535),
  targetHostKeys: badList(fc.oneof(notText, fc.constant('x'.repeat(2_049))), 'k', 16),
  controls: badList(badControl, control, 16),
  targetHostSshPort: notWhole(1, 65_535),
  targetHostUsername: fc.oneof(
    notText,
    spoiled('root'),
    fc.constantFrom('', '-l', 'a'.repeat(33), '1a'),
  ),
  sshTimeoutSec: notWhole(1, 300),
  connectTimeoutMs: notWhole(100, 60_000),
  killGraceMs: notWhole(0, 60_000),
  taskId: badText(128),
  credential: fc.constantFrom<unknown>(
    'x',
    [],
    { keyId: UUID },
    { keyId: UUID, publicKey: 'A'.repeat(43), box: 'AAAA' },
  ),
};
const REQUIRED = ['vmUuid', 'fenceEpoch', 'disks', 'targetHostUuid', 'targetHostIp'] as const;

/** How many values of each field are drawn; bodies are made of all pairs of them. */
const DRAWN = 250;

/**
 * Bodies of `/ha/fence/vm/from/peer`, each against at least one rule; the same from the same seed.
 * Values are drawn beforehand: drawing whole bodies takes longer than refusing them.
 */
export function* brokenBodies(count: number, seed: number): Generator {
  const fields = Object.keys(BAD);
  const drawn = fields.map((field) => fc.sample(BAD[field] ?? junk, { seed, numRuns: DRAWN }));
  const other = fc.sample(fc.oneof(junk, fc.array(junk, { maxLength: 3 })), {
    seed,
    numRuns: DRAWN,
  });
  for (let i = 0; i < count; i += 1) {
    const [a, b] = [i % fields.length, (i * 7 + 3) % fields.length];
    const [first, second] = [fields[a] ?? '', fields[b] ?? ''];
    const body: Record<string, unknown> = { ...goodBody(), [first]: drawn[a]?.[(i >> 4) % DRAWN] };
    const kind = i % 23;
    if (kind === 0) yield other[(i >> 4) % DRAWN];
    else if (kind === 1) yield { ...goodBody(), [REQUIRED[i % REQUIRED.length] ?? '']: undefined };
    else if (kind < 8) yield { ...body, [second]: drawn[b]?.[(i * 31) % DRAWN] };
    else yield body;
  }
}

/** Anything: a good body with some of its fields, or some of theirs, replaced by anything. */
export const anyBody: fc.Arbitrary<unknown> = fc
  .tuple(
    fc.subarray(Object.keys(BAD), { maxLength: 4 }),
    fc.array(junk, { minLength: 4, maxLength: 4 }),
  )
  .map(([fields, values]) => ({
    ...goodBody(),
    ...Object.fromEntries(fields.map((field, i) => [field, values[i]])),
  }));
