import { writeFileSync } from 'node:fs';
import { messageOf } from '@fenceline/common';
import {
  DEMO_USAGE,
  parseDemoWish,
  playDemo,
  type DemoOutput,
  type DemoWish,
} from '@fenceline/common/demo';
import { Lab } from '../client.js';
import { demoDir, keepLogs, tidyDemos } from './demoDirs.js';
import { openLabDemoSite } from './labDemoSite.js';

const output = {
  out: (line: string): void => void process.stdout.write(`${line}\n`),
  err: (line: string): void => void process.stderr.write(`${line}\n`),
  writeFile: (path: string, text: string): void => writeFileSync(path, text),
} satisfies DemoOutput;

function readWish(): DemoWish | undefined {
  try {
    return parseDemoWish(process.argv.slice(2));
  } catch (error) {
    output.err(`demo: ${messageOf(error)}`);
    for (const line of DEMO_USAGE) output.err(line);
    return undefined;
  }
}

/** A lab that ends with this process, however it dies; with `--keep` only if it is interrupted. */
function openLab({ keep }: DemoWish): Lab {
  const lab = Lab.open({ dir: demoDir(), endsWithMe: !keep });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)
    process.once(signal, () => {
      output.err('\nending: everything of the demo is taken down');
      lab.purge().then(
        () => process.exit(code),
        (error: unknown) => {
          output.err(`demo: ${messageOf(error)}`);
          process.exit(1);
        },
      );
    });
  return lab;
}

function howToLookAround(lab: Lab): string[] {
  const at = 'scripts/lab';
  return [
    '',
    'The last scenario is left running. Look around:',
    `  export FENCELINE_LAB_DIR=${lab.paths.dir}`,
    `  ${at} fenceline status            # also: task list, events, --help`,
    `  ${at} exec h2 -- virsh list`,
    `  ${at} check web1                  # who wrote to its disk`,
    `  ${at} status                      # nodes, services, faults`,
    `  ${at} down --purge                # ends it, leaves nothing`,
  ];
}

function tellOfLogs(word: string | undefined): void {
  if (word !== undefined) output.err(word);
}

async function main(): Promise<number> {
  const wish = readWish();
  if (wish === undefined) return 2;
  if (wish.help) {
    for (const line of DEMO_USAGE) output.out(line);
    return 0;
  }
  if (wish.json !== undefined && wish.json !== '-') output.writeFile(wish.json, '');
  for (const dir of await tidyDemos())
    output.err(
      `A demo that was kept, or another one, runs in ${dir} (scripts/lab --dir ${dir} down).`,
    );
  const lab = openLab(wish);
  const tell = (sentence: string): void => (wish.json === '-' ? output.err : output.out)(sentence);
  const code = await playDemo(
    (options) => openLabDemoSite({ lab, ...options, tell: (line) => tell(`  ${line}`) }),
    wish,
    { ...output, failed: (name) => tellOfLogs(keepLogs(lab, name)) },
  );
  if (!wish.keep) await lab.purge();
  else for (const line of howToLookAround(lab)) tell(line);
  return code;
}

process.exitCode = await main().catch((error: unknown) => {
  output.err(`demo: ${messageOf(error)}`);
  return 1;
});
