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
import { openLabDemoSite } from './labDemoSite.js';

const DEMO_DIR = '/tmp/fenceline-demo';

const output: DemoOutput = {
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
  writeFile: (path, text) => writeFileSync(path, text),
};

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
  const lab = Lab.open({
    dir: process.env['FENCELINE_LAB_DIR'] ?? DEMO_DIR,
    endsWithMe: !keep,
  });
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
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
  const at = `FENCELINE_LAB_DIR=${lab.paths.dir} scripts/lab`;
  return [
    '',
    'The last scenario is left running. Look around:',
    `  ${at} fenceline status            # also: task list, task show, events, readiness`,
    `  ${at} exec h2 -- virsh list`,
    `  ${at} check web1                  # who wrote to its disk`,
    `  ${at} status                      # nodes, services, faults`,
    `  ${at} down --purge                # ends it, leaves nothing`,
  ];
}

async function main(): Promise<number> {
  const wish = readWish();
  if (wish === undefined) return 2;
  if (wish.help) {
    for (const line of DEMO_USAGE) output.out(line);
    return 0;
  }
  const lab = openLab(wish);
  const tell = (sentence: string): void => (wish.json === '-' ? output.err : output.out)(sentence);
  const code = await playDemo(
    (options) => openLabDemoSite({ lab, ...options, tell: (line) => tell(`  ${line}`) }),
    wish,
    output,
  );
  if (!wish.keep) await lab.purge();
  else for (const line of howToLookAround(lab)) tell(line);
  return code;
}

process.exitCode = await main().catch((error: unknown) => {
  output.err(`demo: ${messageOf(error)}`);
  return 1;
});
