import { Lab } from '../client.js';

// A program that owns a lab and never cleans up: the self-test kills it.
const [dir = ''] = process.argv.slice(2);
await Lab.open({ dir, endsWithMe: true }).up(1);
setInterval(() => undefined, 60_000);
