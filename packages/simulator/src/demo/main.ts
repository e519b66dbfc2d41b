import { writeFileSync } from 'node:fs';
import { runDemo } from './runDemo.js';

process.exitCode = await runDemo(process.argv.slice(2), {
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
  writeFile: (path, text) => writeFileSync(path, text),
});
