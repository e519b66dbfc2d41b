import type { ProofBundle } from '@fenceline/common';
import { clean, table, title, cell, type Paint } from './text.js';
import { shortTime } from './time.js';

/** What a bundle was found to prove. */
export function verifiedLines(bundle: ProofBundle, paint: Paint): string[] {
  const { task, start, runsLeftOut, links, head } = bundle;
  const vm = clean(task.vmName ?? task.vmUuid);
  const to = start === null ? '' : ` before run ${start.epoch} (${shortTime(start.openedAt)})`;
  return [
    title(`valid: every earlier run of ${vm} was proven over${to}`, paint),
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
    `chain: ${links.length} links without a gap, up to proof ${head.sequence}`,
    `anchor to note elsewhere: ${head.digest}`,
    ...(runsLeftOut === 0 ? [] : [`${runsLeftOut} older runs are not part of this bundle`]),
  ];
}
