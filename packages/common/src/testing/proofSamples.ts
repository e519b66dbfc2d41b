import { sealBundle, type BundleContent, type BundleProof } from '../proofs/bundle.js';
import { BUNDLE_FORMAT, BUNDLE_VERSION, type ProofBundle } from '../proofs/bundle.js';
import {
  bodyDigestOf,
  CHAIN_START,
  linkDigestOf,
  standsOnDigest,
  startDigestOf,
  type ChainLink,
  type ProofBody,
} from '../proofs/chain.js';

const id = (last: string): string => `00000000-0000-4000-8000-${last.padStart(12, '0')}`;
const at = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`;

const verdict = {
  success: true,
  qemuConfirmedDead: true,
  qemuStillAlive: false,
  targetHostUnreachable: false,
};

export const lookSample = {
  outcome: 'confirmedDead',
  verdict,
  killed: [{ pid: 7, startTime: 8, epoch: 1 }],
  hostUuid: id('1'),
  bootId: 'boot-1',
  pidNamespace: 'pid:[1]',
  barrier: 'disk',
  disks: [{ source: '/a.img', drained: 'synced' }],
  asked: { pidNamespace: 'pid:[1]', disks: ['/a.img'] },
};

const device = {
  agent: 'fence_x',
  verifiedAt: at(0),
  offAcknowledged: true,
  offSentAfterMs: 0,
  firstOffAfterMs: 500,
  readBack: 'off',
  readBackAfterMs: 1_500,
};

export const unreachableSample = {
  policy: 'corroborated',
  minSiblings: 2,
  eligibleSiblings: 3,
  siblings: ['2', '3'].map((last) => ({
    hostUuid: id(last),
    outcome: 'unreachable',
    verdict: { ...verdict, qemuConfirmedDead: false, targetHostUnreachable: true },
  })),
  signOfLife: false,
  records: [
    {
      storage: 'nfs1',
      holdsDisk: true,
      bootId: 'boot-1',
      sequence: 900,
      selfFencerArmed: true,
      watchdogArmed: true,
      kills: [{ vmUuid: id('a1'), epoch: 6 }],
      deadlineMs: 90_000,
      unchangedForMs: 90_001,
      control: { hostUuid: id('2'), advanced: true },
    },
  ],
};

/** What each kind of proof of run N of one VM on one host is made of: kind, source, facts. */
const SAMPLES: readonly [string, string, Record<string, unknown>][] = [
  ['peerConfirmedDead', `peer:${id('2')}`, lookSample],
  ['hostRebooted', `peer:${id('2')}`, { ...lookSample, bootId: 'boot-2' }],
  [
    'vmNotRunning',
    `agent:${id('1')}`,
    { ...lookSample, highestBegan: 3, beganKnown: true, stop: false },
  ],
  [
    'powerOff',
    'power:fence_x+fence_x',
    {
      level: 1,
      devices: [device, { ...device, offSentAfterMs: 600, firstOffAfterMs: 1_100 }],
      lastSignOfLifeAfterMs: -4_000,
    },
  ],
  [
    'operatorConfirmed',
    'operator:ann',
    {
      reason: 'pulled the plug',
      typedName: 'h1',
      hostName: 'h1',
      silentForMs: 130_000,
      requiredSilenceMs: 120_000,
    },
  ],
  ['hostUnreachable', 'unreachable:corroborated', unreachableSample],
];

/** Bodies of proofs of runs 1 to 6 of one VM, one of each kind. */
export function proofBodies(): ProofBody[] {
  return SAMPLES.map(([kind, source, facts], i) => ({
    uuid: id(`d${i + 1}`),
    taskUuid: id('b1'),
    kind,
    vmUuid: id('a1'),
    epoch: i + 1,
    hostUuid: id('1'),
    bootId: 'boot-1',
    source,
    facts: structuredClone(facts),
    createdAt: at(i + 1),
    expiresAt: kind === 'operatorConfirmed' ? '2026-01-01T00:10:00.000Z' : null,
  }));
}

/** The chain that these bodies make, each at its place. */
export function chained(
  bodies: readonly ProofBody[],
  from: { sequence: number; previousDigest: string } = { sequence: 1, previousDigest: CHAIN_START },
): { proofs: BundleProof[]; links: ChainLink[] } {
  let previousDigest = from.previousDigest;
  const proofs = bodies.map((body, i): BundleProof => {
    const sequence = from.sequence + i;
    const digest = linkDigestOf(sequence, previousDigest, bodyDigestOf(body));
    const proof = { ...body, sequence, usedAt: null, voidedReason: null, previousDigest, digest };
    previousDigest = digest;
    return proof;
  });
  const links = proofs.map((proof) => ({
    sequence: proof.sequence,
    bodyDigest: bodyDigestOf(proof),
    digest: proof.digest,
  }));
  return { proofs, links };
}

/** A bundle that permits the start of run 7, from proofs of every kind; after it one of another VM. */
export function validBundle(bodies: readonly ProofBody[] = proofBodies()): ProofBundle {
  const { proofs, links } = chained(bodies);
  const sequence = proofs.length + 1;
  const previousDigest = links.at(-1)?.digest ?? CHAIN_START;
  const run = { epoch: 7, hostUuid: id('3'), bootId: 'boot-3', openedAt: at(30) };
  const standsOn = standsOnDigest(
    proofs.map(({ epoch, digest: proofDigest }) => ({ epoch, proofDigest })),
  );
  const bodyDigest = startDigestOf({ ...run, taskUuid: id('b1'), vmUuid: id('a1'), standsOn });
  const digest = linkDigestOf(sequence, previousDigest, bodyDigest);
  const foreign = { ...proofBodies()[0], uuid: id('d9'), vmUuid: id('a9') } as ProofBody;
  const after = chained([foreign], { sequence: sequence + 1, previousDigest: digest });
  const all = [...links, { sequence, bodyDigest, digest }, ...after.links];
  const last = all.at(-1) ?? { sequence: 0, digest: CHAIN_START };
  const content: BundleContent = {
    format: BUNDLE_FORMAT,
    version: BUNDLE_VERSION,
    exportedAt: at(50),
    databaseIncarnation: id('e1'),
    task: {
      uuid: id('b1'),
      vmUuid: id('a1'),
      vmName: 'web1',
      reason: 'h1 is silent',
      judger: 'host-failure',
      state: 'done',
      attempt: 1,
      createdAt: at(0),
      endedAt: at(40),
    },
    start: { ...run, sequence, previousDigest, digest },
    runs: proofs.map(({ epoch, hostUuid, bootId, uuid, createdAt }) => ({
      epoch,
      hostUuid,
      bootId,
      state: 'closed',
      openedAt: at(0),
      closedAt: createdAt,
      proofUuid: uuid,
    })),
    leftOut: [],
    proofs,
    links: all,
    head: { sequence: last.sequence, digest: last.digest },
  };
  return sealBundle(content);
}
