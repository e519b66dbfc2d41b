import type { StatusView } from '@fenceline/protocol';
import type { ScenarioResult } from './result.js';
import type { DiskWord } from './site.js';
import type { Milestone } from './stages.js';
import type { Scenario } from './story.js';

const WIDTH = 96;

/** Title and story of a scenario. */
export function titleLines({ name, story }: Scenario): string[] {
  return [
    '',
    `── ${name} ${'─'.repeat(Math.max(0, WIDTH - name.length - 4))}`,
    ...wrapped(story),
    '',
  ];
}

/** Hosts and VMs as two small tables. */
export function statusLines(status: StatusView): string[] {
  const hosts = status.clusters.flatMap((cluster) => cluster.hosts);
  const vms = status.clusters.flatMap((cluster) => cluster.vms);
  return [
    ...table([
      ['HOST', 'STATUS', 'LIVENESS', 'POWER DEVICE', 'RUNS'],
      ...hosts.map((host) => [
        host.name,
        host.status,
        host.liveness,
        powerWord(host.powerDevice),
        String(host.openRuns),
      ]),
    ]),
    '',
    ...table([
      ['VM', 'STATE', 'HOST', 'LEVEL', 'PROTECTED BY'],
      ...vms.map((vm) => [
        vm.name,
        vm.state,
        vm.hostName ?? '-',
        vm.level,
        vm.proofs.join(', ') || 'nothing',
      ]),
    ]),
    '',
  ];
}

function powerWord(device: { verifiedAt: string | null } | null): string {
  if (device === null) return 'none';
  return device.verifiedAt === null ? 'not proven' : 'proven';
}

/** The deed that begins the timeline. */
export function deedLine(deed: string): string {
  return timelineLine(0, 'fault', deed);
}

export function milestoneLines(milestone: Milestone): string[] {
  const [first = '', ...rest] = wrapped(milestone.text, WIDTH - TEXT_COLUMN);
  return [
    timelineLine(milestone.atMs, milestone.stage, first),
    ...rest.map((line) => ' '.repeat(TEXT_COLUMN) + line),
  ];
}

/** Where the texts of the timeline begin. */
const TEXT_COLUMN = 29;

export function timelineLine(atMs: number, stage: string, text: string): string {
  const at = `+${(atMs / 1_000).toFixed(2)} s`.padStart(11);
  return `${at}  ${stage.padEnd(14)}  ${text}`;
}

/** Ways out, the checker's word, and whether all was as promised. */
export function endLines(
  scenario: Scenario,
  seen: {
    result: ScenarioResult & { broken: string[] };
    word: DiskWord;
    waysOut: readonly string[];
  },
): string[] {
  const { result, word, waysOut } = seen;
  const out = waysOut.map((way) => `               ${way}`);
  const verdict = result.asPromised
    ? [`  as promised: ${scenario.moral} (${(result.endToEndMs / 1_000).toFixed(1)} s)`]
    : ['  NOT AS PROMISED:', ...result.broken.map((problem) => `    ${problem}`)];
  return [
    '',
    ...(result.outcome === 'refused' ? ['  ways out:', ...out] : []),
    `  disk checker: ${word.text}`,
    ...verdict,
  ];
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd(),
  );
}

/** Words of a text in lines of at most `width`; a longer word stands alone. */
export function wrapped(text: string, width = WIDTH): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
