import { writeFileSync } from 'node:fs';
import { benchBatch } from './batch/batch.js';
import { benchFence } from './fence/fence.js';
import { load1, machineNow } from './machine.js';
import { renderTable, type Benchmark, type BenchResult } from './result.js';
import { parseUsage, usage, UsageError, type Asked } from './usage.js';

const benchmarks: Readonly<Record<string, Benchmark>> = {
  fence: benchFence,
  'fence-batch': benchBatch,
};
const names = Object.keys(benchmarks);

/** Exit codes: 0 measured (whatever the numbers), 1 failed, 2 wrong usage. */
async function main(): Promise<number> {
  const usual = Object.entries(benchmarks).map(
    ([name, { usualRuns }]) => [name, usualRuns] as const,
  );
  let asked: Asked;
  try {
    asked = parseUsage(process.argv.slice(2), Object.fromEntries(usual));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    say(`bench: ${error.message}\n${usage(names)}`);
    return 2;
  }
  const benchmark = benchmarks[asked.name];
  if (benchmark === undefined) process.stdout.write(`${usage(names)}\n`);
  else await bench(benchmark, asked);
  return 0;
}

async function bench(benchmark: Benchmark, { name, runs, json }: Asked): Promise<void> {
  const before = load1();
  const { measured, ratios } = await benchmark.run(runs, say);
  const series = measured.series();
  const result: BenchResult = { name, runs, series, ratios, machine: machineNow(before) };
  const text = `${JSON.stringify(result, undefined, 2)}\n`;
  if (json === '-') process.stdout.write(text);
  else process.stdout.write(`${renderTable(result, benchmark.goals)}\n`);
  if (json !== undefined && json !== '-') writeFileSync(json, text);
}

function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
