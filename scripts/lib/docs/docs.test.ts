import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import * as protocol from '@fenceline/protocol';
import { runCli } from '../../../packages/cli/src/program.ts';
import type { World } from '../../../packages/cli/src/world.ts';
import { AgentConfig } from '../../../packages/agent/src/config.ts';
import { ServerConfig } from '../../../packages/management/src/config.ts';
import { rowsOf, settingsAsMarkdown } from './configurationPage.ts';
import { agentMeanings, serverMeanings } from './meanings.ts';
import { commandsIn, filesIn, linksIn, namesRule, rulesIn, shortFilesIn } from './readDocs.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const daemons = ['management', 'agent'];

const pages = [
  'README.md',
  ...readdirSync(join(root, 'docs'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].filter((page) => existsSync(join(root, page)));

describe.each(pages)('%s', (page) => {
  test('every file that it names exists', () => {
    expect(filesIn(read(page)).filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });

  test('every file that it names by the end of its path is one of the server or the agent', () => {
    const missing = shortFilesIn(read(page)).filter(
      (path) => !daemons.some((daemon) => existsSync(join(root, 'packages', daemon, 'src', path))),
    );
    expect(missing).toEqual([]);
  });

  test('every link leads somewhere', () => {
    const from = dirname(page);
    expect(linksIn(read(page)).filter((to) => !existsSync(join(root, from, to)))).toEqual([]);
  });

  test('every command of ours exists, with these flags', async () => {
    const wrong: string[] = [];
    for (const command of commandsIn(read(page))) wrong.push(...(await problemsOf(command)));
    expect(wrong).toEqual([]);
  });

  test('tells of the product, not of one machine', () => {
    expect(read(page)).not.toMatch(/(?<![A-Za-z.])\/(?:work|home|tmp)\//);
  });
});

describe('docs/SAFETY.md', () => {
  const rules = rulesIn(read('docs/SAFETY.md'));

  test('lists each rule once', () => {
    const ids = rules.map(({ id }) => id);
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
    expect(ids).toEqual(expect.arrayContaining(['F1', 'F24', 'F41', 'C5', 'D6', 'powerOff']));
  });

  test.each(rules)('$id names where it is kept', ({ sources }) => {
    expect(sources).not.toEqual([]);
  });

  test.each(rules)('$id is named by a test in each test file of its entry', ({ id, tests }) => {
    expect(tests).not.toEqual([]);
    expect(tests.filter((path) => !namesRule(read(path), id))).toEqual([]);
  });
});

test('docs/GLOSSARY.md tells every state', () => {
  const { HOST_STATUSES, HOST_STATES, LIVENESSES, RUN_STATES, TASK_STATES } = protocol;
  const { VM_STATES, FENCE_OUTCOMES, FENCE_STAGES, HA_LEVELS, PRIORITIES } = protocol;
  const words = [
    ...[HOST_STATUSES, HOST_STATES, LIVENESSES, RUN_STATES, TASK_STATES],
    ...[VM_STATES, FENCE_OUTCOMES, FENCE_STAGES, HA_LEVELS, PRIORITIES],
  ].flat();
  const page = read('docs/GLOSSARY.md');
  expect(words.filter((word) => !page.includes(`\`${word}\``))).toEqual([]);
});

/**
 * The page is made of the settings' own classes: FENCELINE_WRITE_DOCS=1 scripts/jest scripts/lib/docs
 * writes it.
 */
describe('docs/CONFIGURATION.md', () => {
  const server = rowsOf(new ServerConfig(), serverMeanings);
  const agent = rowsOf(new AgentConfig(), agentMeanings);

  test('every setting has a meaning, and every meaning a setting', () => {
    expect([...server.problems, ...agent.problems]).toEqual([]);
  });

  test.each([
    ['server', settingsAsMarkdown(server.rows)],
    ['agent', settingsAsMarkdown(agent.rows)],
  ])('the settings of the %s are those of the code', (name, settings) => {
    const file = 'docs/CONFIGURATION.md';
    const between = new RegExp(`(<!-- settings of the ${name} -->\n\n)[^]*?(\n\n<!-- end -->)`);
    expect(read(file)).toMatch(between);
    const made = read(file).replace(between, (_, head: string, tail: string) => {
      return `${head}${settings}${tail}`;
    });
    if (process.env['FENCELINE_WRITE_DOCS'] === '1') writeFileSync(join(root, file), made);
    expect(read(file)).toBe(made);
  });
});

/** What is wrong with a command that a page shows. */
async function problemsOf({ line, words, flags }: ReturnType<typeof commandsIn>[number]) {
  for (let count = words.length; count > 0; count -= 1) {
    const name = words.slice(0, count);
    const help = await helpOf(name);
    if (help === undefined) continue;
    const known = `${help}\n${(await helpOf([])) ?? ''}`;
    const unknown = flags.filter((flag) => !known.includes(flag));
    const isNoun = /\nCommands:\n/.test(help);
    const problems = unknown.map((flag) => `${line}: ${flag} is no flag`);
    return isNoun ? [...problems, `${line}: no such command`] : problems;
  }
  return [`${line}: no such command`];
}

async function helpOf(words: readonly string[]): Promise<string | undefined> {
  let text = '';
  const world = {
    environment: {},
    out: (line: string) => (text += `${line}\n`),
    err: () => undefined,
  } as unknown as World;
  await runCli([...words, '--help'], world);
  return text.startsWith(`Usage: ${['fenceline', ...words].join(' ')} `) ? text : undefined;
}

test('what the checks themselves understand', () => {
  const page = [
    '- **F1** One. In `packages/a/src/b.ts`; test `packages/a/src/b.test.ts`.',
    '- **F20a** Two,\n  `scripts/x`.',
    '- not a rule `packages/*/src`',
    '```sh\nfenceline host show h1 --json   # a comment\n```',
    '[a link](docs/X.md#y) [another](https://example.org) `./scripts/demo --json`',
  ].join('\n');
  expect(rulesIn(page)).toEqual([
    { id: 'F1', sources: ['packages/a/src/b.ts'], tests: ['packages/a/src/b.test.ts'] },
    { id: 'F20a', sources: ['scripts/x'], tests: [] },
  ]);
  expect(filesIn(page)).toContain('scripts/demo');
  expect(linksIn(page)).toEqual(['docs/X.md']);
  expect(commandsIn(page)).toEqual([
    { line: 'fenceline host show h1 --json', words: ['host', 'show'], flags: ['--json'] },
  ]);
  expect(namesRule("test('F2: a', …)", 'F2')).toBe(true);
  expect(namesRule("test('F20: a', …)", 'F2')).toBe(false);
  expect(namesRule('// F2 in a comment', 'F2')).toBe(false);
});
