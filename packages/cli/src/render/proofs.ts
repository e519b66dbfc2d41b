import type { ProofBundle } from '@fenceline/common';
import { clean, table, title, cell, type Paint } from './text.js';
import { shortTime } from './time.js';

/** What a bundle was found to prove, and what it does not show. */
export function verifiedLines(bundle: ProofBundle, anchored: boolean, paint: Paint): string[] {
  const { task, start, runs, links, head } = bundle;
  const vm = clean(task.vmName ?? task.vmUuid);
  const to = start === null ? '' : ` before run ${start.epoch} (${shortTime(start.openedAt)})`;
  const what =
    runs.length === 0
      ? `no run of ${vm} was known${to}`
      : `${runs.length} ${runs.length === 1 ? 'run' : 'runs'} of ${vm}, each proven over${to}`;
  return [
    title(`valid: ${what}`, paint),
    ...table(
      ['PROOF', 'KIND', 'RUN', 'SAID BY', 'AT'],
      bundle.proofs.map((proof) => [
        cell(proof.sequence),
        cell(proof.kind, 'strong'),
        cell(`epoch ${proof.epoch} on ${proof.hostUuid}`),
        cell(proof.source),
        cell(shortTime(proof.createdAt)),
      ]),
      paint,
    ),
    `chain: ${links.length} links without a gap, up to place ${head.sequence}; the start is at ` +
      `place ${start?.sequence ?? 0}, on exactly these runs and proofs`,
    ...notShown(bundle, anchored).map((text) => `not shown: ${text}`),
    `anchor to note elsewhere: ${head.digest}`,
  ];
}

function notShown({ leftOut }: ProofBundle, anchored: boolean): string[] {
  return [
    ...(leftOut.length === 0
      ? []
      : [
          `the evidence about ${leftOut.length} older runs; the start names the proofs that closed ` +
            'them by digest only',
        ]),
    ...(anchored
      ? []
      : [
          'that this is the chain of your server; whoever had the file could have made all of it ' +
            'anew (see --anchor)',
        ]),
  ];
}
