import { execFile, type ExecFileException } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const here = dirname(fileURLToPath(import.meta.url));
let checkout = '';
let tools = '';

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'fenceline-setup-'));
  tools = join(checkout, 'tools');
  mkdirSync(join(checkout, 'scripts', 'lib'), { recursive: true });
  mkdirSync(tools);
  copyFileSync(join(here, 'setup.sh'), join(checkout, 'scripts', 'lib', 'setup.sh'));
  writeFileSync(join(checkout, 'package-lock.json'), '{"one": 1}');
  tool('sleep', ''); // so that attempts follow at once
});

afterEach(() => rmSync(checkout, { recursive: true }));

/** A stand-in for a program of the machine; each call is written down first. */
function tool(name: string, body: string): void {
  const path = join(tools, name);
  const note = name === 'sleep' ? '' : `echo "${name} $*" >>"${checkout}/calls"\n`;
  writeFileSync(path, `#!/bin/bash\n${note}${body}\n`);
  chmodSync(path, 0o755);
}

function calls(): string[] {
  const path = join(checkout, 'calls');
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
}

interface Result {
  status: number;
  said: string;
}

/** Sources setup.sh and runs these words. */
function bash(words: string): Promise<Result> {
  const script = `set -euo pipefail\n. "${checkout}/scripts/lib/setup.sh"\n${words}`;
  const env = { PATH: `${tools}:/usr/sbin:/usr/bin:/sbin:/bin`, TMPDIR: checkout };
  return new Promise((resolve) => {
    // --norc: a bash whose input is a socket thinks that it was called over the network.
    execFile(
      'bash',
      ['--norc', '-c', script],
      { env },
      (error: ExecFileException | null, out, said) => {
        resolve({ status: error === null ? 0 : Number(error.code), said: said + out });
      },
    );
  });
}

describe('need_node', () => {
  const list = () => join(checkout, 'node_modules', '.package-lock.json');
  const npmInstalls = `/bin/sleep 0.3; mkdir -p "$PWD/node_modules"; echo '{}' >"$PWD/node_modules/.package-lock.json"`;

  beforeEach(() => {
    tool('node', 'case "$*" in --version) echo v24.15.0 ;; *) exit 0 ;; esac');
    tool('npm', npmInstalls);
  });

  const installs = () => calls().filter((call) => call.startsWith('npm ci')).length;

  test('installs what the lockfile says, once, and says so', async () => {
    const first = await bash('need_node');
    expect(first).toMatchObject({ status: 0 });
    expect(first.said).toContain('npm ci: installing');
    expect(await bash('need_node')).toEqual({ status: 0, said: '' });
    expect(installs()).toBe(1);
  });

  test('two at once: one installs, the other waits for it', async () => {
    const both = await Promise.all([bash('need_node'), bash('need_node')]);
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect(installs()).toBe(1);
    expect(both.map(({ said }) => said).join()).toContain('Another script is setting up');
  });

  test('again when the lockfile changed, whatever the times of the files say', async () => {
    await bash('need_node');
    writeFileSync(join(checkout, 'package-lock.json'), '{"two": 2}');
    utimesSync(join(checkout, 'package-lock.json'), 0, 0);
    const again = await bash('need_node');
    expect(again.said).toContain('are not those of package-lock.json');
    expect(installs()).toBe(2);
    const touched = new Date(Date.now() + 60_000);
    utimesSync(join(checkout, 'package-lock.json'), touched, touched);
    expect(await bash('need_node')).toEqual({ status: 0, said: '' });
  });

  test('packages that npm itself installed after the lockfile are good', async () => {
    mkdirSync(dirname(list()));
    utimesSync(join(checkout, 'package-lock.json'), 1_000, 1_000);
    writeFileSync(list(), '{}');
    expect(await bash('need_node')).toEqual({ status: 0, said: '' });
    utimesSync(list(), 500, 500);
    await bash('need_node');
    expect(installs()).toBe(1);
  });

  test('a network that fails twice is tried a third time', async () => {
    tool('npm', `[ "$(grep -c 'npm ci' "${checkout}/calls")" -ge 3 ] || exit 1\n${npmInstalls}`);
    expect((await bash('need_node')).status).toBe(0);
    expect(installs()).toBe(3);
  });

  test('one that fails for good ends with a sentence, and installs nothing half', async () => {
    tool('npm', 'echo "no network" >&2; exit 1');
    const { status, said } = await bash('need_node');
    expect(status).toBe(1);
    expect(said).toContain('no network');
    expect(said).toContain('npm ci failed');
    expect(installs()).toBe(3);
    expect(existsSync(list())).toBe(false);
  });

  test.each([
    ['no npm', "rm '%tools%/npm'", 'Node 20 or newer with npm is needed'],
    [
      'an old Node',
      "printf '#!/bin/bash\\necho v18.0.0; exit 1\\n' >'%tools%/node'",
      'found: v18.0.0',
    ],
  ])('%s: what to install', async (_, prepare, sentence) => {
    // The machine's own npm must not help out.
    const words = `${prepare.replace('%tools%', tools)}; PATH="${tools}:${checkout}/bin"; need_node`;
    mkdirSync(join(checkout, 'bin'));
    for (const name of ['cat', 'cksum', 'flock', 'dirname'])
      writeFileSync(join(checkout, 'bin', name), `#!/bin/bash\nexec /usr/bin/${name} "$@"\n`, {
        mode: 0o755,
      });
    const { status, said } = await bash(words);
    expect(status).toBe(1);
    expect(said).toContain(sentence);
  });

  test('a Node of the packages that is too old for us', async () => {
    tool('node', 'case "$*" in --version) echo v22.1.0 ;; *"24 15") exit 1 ;; esac');
    const { status, said } = await bash('need_node');
    expect(status).toBe(1);
    expect(said).toContain('needs Node 24.15 or newer; this is v22.1.0');
  });
});

describe('need_debian', () => {
  beforeEach(() => {
    tool('id', 'echo 0');
    tool('apt-get', 'exit 0');
    tool(
      'dpkg-query',
      `case "\${!#}" in gcc|nftables) exit 1 ;; *) echo 'install ok installed' ;; esac`,
    );
    tool('pkg-config', '');
  });

  const own = () => join(checkout, 'policy-rc.d');
  const setUp = () => bash(`policy_file="${own()}"; need_debian`);
  const apt = () => calls().filter((call) => call.startsWith('apt-get'));

  test('installs only what is missing, says what for, and starts no service', async () => {
    tool(
      'apt-get',
      `"${checkout}/policy-rc.d" libvirtd start; echo "policy $?" >>"${checkout}/calls"`,
    );
    const { status, said } = await setUp();
    expect(status).toBe(0);
    expect(said).toContain('gcc: the fence program and helpers of the lab are compiled');
    expect(said).not.toContain('openssl');
    expect(apt().map((call) => call.replace(/-o \S+ /g, ''))).toEqual([
      'apt-get -q update',
      'apt-get -q install -y --no-install-recommends nftables gcc',
    ]);
    expect(calls().filter((call) => call.startsWith('policy'))).toEqual([
      'policy 101',
      'policy 101',
    ]);
    expect(existsSync(own())).toBe(false);
  });

  test('says and does nothing if all is there', async () => {
    tool('dpkg-query', "echo 'install ok installed'");
    expect(await setUp()).toEqual({ status: 0, said: '' });
    expect(apt()).toEqual([]);
  });

  test('half removed is not installed', async () => {
    tool('dpkg-query', "echo 'deinstall ok config-files'");
    await setUp();
    expect(apt()[1]).toContain('qemu-system-x86');
  });

  test('a policy that denies already stays as it is', async () => {
    const text = '#!/bin/sh\nexit 101\n';
    writeFileSync(own(), text, { mode: 0o755 });
    expect((await setUp()).status).toBe(0);
    expect(readFileSync(own(), 'utf8')).toBe(text);
  });

  test("somebody's own policy is covered for the one run, and stays", async () => {
    const text = '#!/bin/sh\nexit 0\n';
    writeFileSync(own(), text, { mode: 0o755 });
    tool('unshare', 'echo; exit 0');
    expect((await setUp()).status).toBe(0);
    expect(calls().join()).toContain('unshare --mount');
    expect(apt()).toEqual([]); // it runs behind unshare, which is not for every user of this test
    expect(readFileSync(own(), 'utf8')).toBe(text);
  });

  test('what a killed run has left is taken away', async () => {
    const mark = '# made by the scripts of Fenceline for one apt-get run; may be removed';
    writeFileSync(own(), `#!/bin/sh\n${mark}\nexit 101\n`, { mode: 0o755 });
    expect((await setUp()).status).toBe(0);
    expect(existsSync(own())).toBe(false);
  });

  test('an apt-get that fails: tried again, then a sentence with the command, and no policy left', async () => {
    tool('apt-get', 'case "$*" in *update*) exit 0 ;; *) echo "no space" >&2; exit 100 ;; esac');
    const { status, said } = await setUp();
    expect(status).toBe(1);
    expect(apt()).toHaveLength(4);
    expect(said).toContain('no space');
    expect(said).toContain('apt-get install --no-install-recommends nftables gcc');
    expect(existsSync(own())).toBe(false);
  });

  test('without root: what to install, and what runs without', async () => {
    tool('id', 'echo 1000');
    const { status, said } = await setUp();
    expect(status).toBe(1);
    expect(said).toContain('sudo apt-get install --no-install-recommends nftables gcc');
    expect(said).toContain('./scripts/demo --simulated');
    expect(apt()).toEqual([]);
  });

  test('not Debian: the same', async () => {
    const words = `command() { [ "$2" != dpkg-query ]; }; need_debian`;
    const { status, said } = await bash(words);
    expect(status).toBe(1);
    expect(said).toContain('made for Debian 12');
    expect(said).toContain('--simulated');
  });
});

describe('scripts/test', () => {
  function run(...words: string[]): Promise<Result> {
    // The mark keeps a mistake here from running every test again.
    const env = { ...process.env, FENCELINE_TEST_RUN: 'a test' };
    return new Promise((resolve) => {
      execFile(join(here, '..', 'test'), words, { env }, (error, out, said) => {
        resolve({ status: error === null ? 0 : Number(error.code), said: said + out });
      });
    });
  }

  test.each<[string, string[]]>([
    ['another word', ['units']],
    ['two words', ['unit', 'lab']],
    ['an empty word', ['']],
  ])('%s is no way to call it', async (_, words) => {
    expect(await run(...words)).toEqual({
      status: 2,
      said: 'usage: scripts/test [unit|lab|all]\n',
    });
  });

  test('a test can not call all tests', async () => {
    expect((await run('unit')).said).toContain('does not run inside');
  });

  test('--help says what there is', async () => {
    const { status, said } = await run('--help');
    expect(status).toBe(0);
    expect(said).toContain('no root');
  });
});
