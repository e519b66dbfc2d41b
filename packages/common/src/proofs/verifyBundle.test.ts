import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { chained, proofBodies, validBundle } from '../testing/proofSamples.js';
import { sealBundle, type ProofBundle } from './bundle.js';
import { canonicalJson } from './canonical.js';
import { bodyDigestOf, type ProofBody } from './chain.js';
import { verifyBundle } from './verifyBundle.js';

const problemsOf = (bundle: unknown, anchor?: string) => verifyBundle(bundle, anchor).problems;

/** Every place of a JSON value that holds no other value, as a path. */
function leavesOf(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [[...path]];
  const entries = Object.entries(value);
  if (entries.length === 0) return [[...path]];
  return entries.flatMap(([key, inner]) => leavesOf(inner, [...path, key]));
}

/** A copy with another value at that place. */
function changedAt<T>(value: T, path: readonly string[], change: (before: unknown) => unknown): T {
  const [first, ...rest] = path;
  if (first === undefined) return change(value) as T;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  copy[first] = changedAt(copy[first], rest, change);
  return copy as T;
}

const other = (before: unknown): unknown => {
  if (typeof before === 'string') return before === '' ? 'x' : `${before.slice(0, -1)}~`;
  if (typeof before === 'number') return before + 1;
  if (typeof before === 'boolean') return !before;
  return 'x';
};

describe('a bundle as it was exported', () => {
  test('is valid, from nothing but itself, with proofs of every kind', () => {
    expect(problemsOf(validBundle())).toEqual([]);
    expect(problemsOf(JSON.parse(canonicalJson(validBundle())))).toEqual([]);
  });

  test('is tied to a digest that was noted elsewhere', () => {
    const bundle = validBundle();
    expect(problemsOf(bundle, bundle.start?.digest)).toEqual([]);
    expect(problemsOf(bundle, bundle.links[2]?.digest)).toEqual([
      expect.stringContaining('older than the start'),
    ]);
    expect(problemsOf(bundle, bundle.head.digest.toUpperCase())).toEqual([]);
    expect(problemsOf(bundle, '0'.repeat(64))).toEqual([
      expect.stringContaining('does not pass through the anchor'),
    ]);
  });
});

describe('tampering is found', () => {
  const whole = validBundle();
  const leaves = leavesOf(whole);

  test('any field, changed', () => {
    expect(leaves.length).toBeGreaterThan(200);
    for (const path of leaves)
      expect([path.join('.'), problemsOf(changedAt(whole, path, other))]).not.toEqual([
        path.join('.'),
        [],
      ]);
  });

  test('any field, taken away or of another type', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...leaves),
        fc.constantFrom(undefined, null, 0, '', [], {}, [{}], 'NaN'),
        (path, instead) => {
          const json = JSON.stringify(changedAt(whole, path, () => instead));
          const changed: unknown = JSON.parse(json);
          const same = canonicalJson(changed) === canonicalJson(whole);
          expect(problemsOf(changed).length > 0).toBe(!same);
        },
      ),
    );
  });

  test('any byte of the file', () => {
    const text = canonicalJson(whole);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.integer({ min: 1, max: 126 }), (i, code) => {
        const changed = `${text.slice(0, i)}${String.fromCharCode(code)}${text.slice(i + 1)}`;
        let json: unknown;
        try {
          json = JSON.parse(changed);
        } catch {
          return; // What is no JSON any more is no bundle.
        }
        const same = canonicalJson(json) === text;
        expect(problemsOf(json).length > 0).toBe(!same);
      }),
      { numRuns: 500 },
    );
  });

  test('a field that was added', () => {
    expect(problemsOf({ ...whole, extra: 1 })).toEqual([expect.stringContaining('digests.about')]);
    const added = changedAt(whole, ['proofs', '0'], (proof) => ({
      ...(proof as object),
      extra: 1,
    }));
    expect(problemsOf(added)).toEqual([expect.stringContaining('digests.proofs')]);
  });

  test('anything stored of a proof, also if the digests of the parts were made anew', () => {
    const mutable = new Set(['usedAt', 'voidedReason']);
    const fields = leavesOf(whole.proofs, ['proofs']).filter(
      ([, , field]) => !mutable.has(field ?? ''),
    );
    for (const path of fields) {
      const { digests: _, ...content } = changedAt(whole, path, other);
      expect([path.join('.'), problemsOf(sealBundle(content))]).not.toEqual([path.join('.'), []]);
    }
  });

  test('a chain that was made anew, against an anchor', () => {
    const bodies = proofBodies().map((body) => ({
      ...body,
      createdAt: '2026-01-01T00:00:20.000Z',
    }));
    const forged = validBundle(bodies);
    expect(problemsOf(forged)).toEqual([]);
    expect(problemsOf(forged, whole.links[0]?.digest)).not.toEqual([]);
  });
});

describe('digests that fit are not enough: the evidence is judged anew', () => {
  const forgedBy = (epoch: number, change: (body: ProofBody) => Partial<ProofBody>): string[] => {
    const bodies = proofBodies().map((body) =>
      body.epoch === epoch ? { ...body, ...change(body) } : body,
    );
    return [...problemsOf(validBundle(bodies))];
  };
  const facts = (more: object) => (body: ProofBody) => ({ facts: { ...body.facts, ...more } });
  const alive = {
    success: true,
    qemuConfirmedDead: true,
    qemuStillAlive: true,
    targetHostUnreachable: false,
  };

  /** The run's own host, asked for its boot and nothing else. */
  const answersUnder =
    (bootId?: string) =>
    ({ hostUuid, bootId: ofRun }: ProofBody) => ({
      ...{ kind: 'hostRebooted', source: `boot:${hostUuid}` },
      facts: { hostUuid, bootId: bootId ?? ofRun },
    });

  test('hostRebooted: an answer under another boot proves it', () => {
    expect(forgedBy(2, answersUnder('boot-z'))).toEqual([]);
  });

  test.each<[string, number, (body: ProofBody) => Partial<ProofBody>, string]>([
    ['F24: alive', 1, facts({ verdict: alive }), 'alive'],
    ['F21a: not drained', 1, facts({ disks: [] }), 'not drained'],
    ['F34: no barrier', 1, facts({ barrier: null }), 'no barrier'],
    ['F22: wrong host', 1, facts({ hostUuid: 'h9' }), 'names host h9'],
    ['F13: itself', 1, (body) => ({ source: `peer:${body.hostUuid}` }), 'suspect itself'],
    ['another kind', 1, () => ({ kind: 'powerOff' }), 'proves peerConfirmedDead'],
    ['another agent', 3, () => ({ source: 'agent:h9' }), 'is not that of host'],
    ['hostRebooted: another host', 2, () => ({ source: 'boot:h9' }), 'h9 is not host'],
    ['hostRebooted: its own boot', 2, answersUnder(), 'under the boot of the run'],
    ['powerOff: a feed on', 4, facts({ devices: [] }), 'no power device'],
    ['a word for ever', 5, () => ({ expiresAt: null }), 'word expires'],
    ['a short silence', 5, facts({ silentForMs: 1 }), 'at least 120 s'],
    ['a record too young', 6, facts({ records: [] }), 'silence proves nothing'],
    ['nobody', 2, () => ({ source: 'luck' }), 'nobody called luck'],
    ['no facts', 2, () => ({ facts: {} }), 'facts are not those'],
  ])('%s', (_name, epoch, change, problem) => {
    expect(forgedBy(epoch, change).join('\n')).toContain(problem);
  });
});

describe('what permits no start', () => {
  const resealed = (change: (bundle: ProofBundle) => Partial<ProofBundle>): string => {
    const { digests: _, ...content } = { ...validBundle(), ...change(validBundle()) };
    return problemsOf(sealBundle(content)).join('\n');
  };

  test.each<[string, (bundle: ProofBundle) => Partial<ProofBundle>, string]>([
    ['no start', () => ({ start: null }), 'nothing permits one'],
    [
      'F33: a run that is open',
      ({ runs }) => ({
        runs: runs.map((run) =>
          run.epoch === 2 ? { ...run, state: 'maybe', proofUuid: null } : run,
        ),
      }),
      'run 2: on host',
    ],
    ['a proof left out', ({ proofs }) => ({ proofs: proofs.slice(1) }), 'its proof is not in'],
    [
      'a proof of another boot',
      ({ runs }) => ({ runs: runs.map((run) => ({ ...run, bootId: 'boot-9' })) }),
      'bootId: its proof',
    ],
    [
      'F41: a voided proof',
      ({ proofs }) => ({ proofs: proofs.map((each) => ({ ...each, voidedReason: 'it spoke' })) }),
      'is void: it spoke',
    ],
    [
      'an expired word',
      ({ start }) => ({ start: start && { ...start, openedAt: '2026-01-01T00:11:00.000Z' } }),
      'had expired when the start was granted',
    ],
    [
      'a proof that came after the start',
      ({ start }) => ({ start: start && { ...start, openedAt: '2026-01-01T00:00:03.500Z' } }),
      'made after the start',
    ],
    [
      'an epoch that is not the highest',
      ({ start }) => ({ start: start && { ...start, epoch: 6 } }),
      'not above',
    ],
    ['a run twice', ({ runs }) => ({ runs: [...runs, ...runs.slice(0, 1)] }), 'stands here twice'],
    [
      'a gap in the chain',
      ({ links }) => ({ links: links.filter((_, i) => i !== 2) }),
      'a gap before it',
    ],
    ['another head', ({ head }) => ({ head: { ...head, sequence: 99 } }), 'is not the last link'],
  ])('%s', (_name, change, problem) => {
    expect(resealed(change)).toContain(problem);
  });
});

describe('whoever has the file, and makes its digests anew, is found by the anchor', () => {
  const without =
    (...epochs: number[]) =>
    (bundle: ProofBundle): Partial<ProofBundle> => {
      const runs = bundle.runs.filter(({ epoch }) => !epochs.includes(epoch));
      const left = new Set(runs.map(({ proofUuid }) => proofUuid));
      const proofs = bundle.proofs.filter(({ uuid }) => left.has(uuid));
      const from = proofs[0]?.sequence ?? bundle.start?.sequence ?? 0;
      return { runs, proofs, links: bundle.links.filter(({ sequence }) => sequence >= from) };
    };
  const start = (change: Partial<NonNullable<ProofBundle['start']>>) => (bundle: ProofBundle) => ({
    start: bundle.start && { ...bundle.start, ...change },
  });
  const nothing = (bundle: ProofBundle): Partial<ProofBundle> => ({
    ...without(1, 2, 3, 4, 5, 6)(bundle),
  });
  const digestsOnly = ({ runs, proofs }: ProofBundle) =>
    runs.map(({ epoch }, i) => ({ epoch, proofDigest: proofs[i]?.digest ?? '' }));

  test.each<[string, (bundle: ProofBundle) => Partial<ProofBundle>, string]>([
    ['a run cut out', without(3), 'stood on other runs'],
    ['the oldest run cut out', without(1), 'stood on other runs'],
    ['the newest run cut out', without(6), 'stood on other runs'],
    ['every run cut out', nothing, 'stood on other runs'],
    [
      'every run left out',
      (bundle) => ({ ...nothing(bundle), leftOut: digestsOnly(bundle) }),
      'no run is shown',
    ],
    ['a later start', start({ epoch: 12 }), 'is not the one of the chain'],
    ['another host', start({ hostUuid: 'h9' }), 'is not the one of the chain'],
    [
      'another time',
      start({ openedAt: '2026-01-01T00:00:29.000Z' }),
      'is not the one of the chain',
    ],
    ['another place', start({ sequence: 8 }), 'is not the one of the chain'],
    ['no place', start({ sequence: 99 }), 'start: is not part of the chain'],
    [
      'another task',
      ({ task }) => ({ task: { ...task, uuid: 'b9' } }),
      'is not the one of the chain',
    ],
    [
      'a run more among those that are left out',
      () => ({ leftOut: [{ epoch: 0, proofDigest: '0'.repeat(64) }] }),
      'stood on other runs',
    ],
  ])('%s', (_name, change, problem) => {
    const bundle = validBundle();
    const { digests: _, ...content } = { ...bundle, ...change(bundle) };
    expect(problemsOf(sealBundle(content), bundle.head.digest).join('\n')).toContain(problem);
  });

  test('older runs by digest alone: the start names them, so none can be cut out', () => {
    const bundle = validBundle();
    const { digests: _, ...content } = {
      ...bundle,
      ...without(1, 2)(bundle),
      leftOut: digestsOnly(bundle).slice(0, 2),
    };
    const sealed = sealBundle(content);
    expect(problemsOf(sealed, bundle.head.digest)).toEqual([]);
    const cut = sealBundle({ ...content, leftOut: content.leftOut.slice(1) });
    expect(problemsOf(cut, bundle.head.digest).join('\n')).toContain('stood on other runs');
  });
});

test.each([undefined, null, 7, 'x', [], {}, { format: 'fenceline-proof-bundle', version: 1 }])(
  '%j is no bundle',
  (json) => {
    expect(problemsOf(json)).toHaveLength(1);
  },
);

test('a bundle that nests without end is refused, not a crash', () => {
  let deep: unknown = 1;
  for (let i = 0; i < 100; i += 1) deep = [deep];
  expect(problemsOf({ ...validBundle(), deep })).toEqual([expect.stringContaining('nested')]);
});

describe('the canonical text', () => {
  test('does not depend on the order of keys, and reads back as what it was', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
    expect(canonicalJson({ b: [1, null], a: 'ü' })).toBe(canonicalJson({ a: 'ü', b: [1, null] }));
    expect(canonicalJson({ b: 1, a: undefined })).toBe('{"b":1}');
  });

  test.each([NaN, Infinity, () => 1, undefined, 1n])('%p is no JSON', (value) => {
    expect(() => canonicalJson(value)).toThrow(RangeError);
  });
});

test('the digest of a proof covers each of its fields', () => {
  const [body] = proofBodies();
  if (body === undefined) throw new Error('no sample');
  for (const path of leavesOf(body))
    expect([path, bodyDigestOf(changedAt(body, path, other))]).not.toEqual([
      path,
      bodyDigestOf(body),
    ]);
  const shifted = chained(proofBodies(), { sequence: 2, previousDigest: '0'.repeat(64) });
  expect(shifted.proofs[0]?.digest).not.toBe(chained(proofBodies()).proofs[0]?.digest);
});
