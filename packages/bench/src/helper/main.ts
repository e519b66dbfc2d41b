/**
 * Runs in a node of the lab: takes jobs as lines of JSON on standard input, and writes what came of each
 * as a line. One at a time: they are measured.
 */
import { createInterface } from 'node:readline';
import type { Reply, Request } from './jobs.js';
import { work } from './work.js';

async function answer({ id, job }: Request): Promise<Reply> {
  try {
    return { id, done: await work(job) };
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line) as Request))}\n`);
// Standing connections would keep it alive.
process.exit(0);
