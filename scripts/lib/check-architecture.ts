// Checks the import rules and the seams of docs/ARCHITECTURE.md over all packages; part of
// `npm run lint`. What oxlint can do (cycles, default exports, sizes) is in .oxlintrc.json.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkFile, checkPackages, type PackageFacts, type Problem } from './architecture/check.ts';
import { scan } from './architecture/scan.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

function packagesOf(): PackageFacts[] {
  return readdirSync(join(root, 'packages'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const text = readOr(join(root, 'packages', name, 'package.json'));
      if (text === undefined) return [];
      const json = JSON.parse(text) as { dependencies?: object; exports?: object };
      return [
        {
          name,
          dependencies: Object.keys(json.dependencies ?? {}),
          exports: Object.keys(json.exports ?? {}),
        },
      ];
    });
}

/** Not every folder is a package, and a file may go between the listing and the reading. */
function readOr(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function sourcesOf(name: string): string[] {
  return ['src', 'test'].flatMap((folder) => {
    const top = join(root, 'packages', name, folder);
    return entriesOf(top)
      .filter((path) => path.endsWith('.ts') || path.endsWith('.tsx'))
      .map((path) => relative(root, join(top, path)).split(sep).join('/'));
  });
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true }).map(String);
  } catch {
    return [];
  }
}

const packages = packagesOf();
const paths = packages.flatMap(({ name }) => sourcesOf(name));
const problems: Problem[] = checkPackages(packages);
for (const path of paths) {
  const source = readOr(join(root, path));
  // A file may go between the listing and the reading.
  if (source !== undefined) problems.push(...checkFile(scan(path, source), packages));
}
for (const { path, line, text } of problems) process.stderr.write(`${path}:${line}: ${text}\n`);
process.stdout.write(`architecture: ${paths.length} files, ${problems.length} problems\n`);
process.exitCode = problems.length > 0 ? 1 : 0;
