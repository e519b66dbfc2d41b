import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { forcedCommand, programArguments, type ProgramSettings } from './programCommand.js';

const SETTINGS: ProgramSettings = {
  runDir: '/run/fenceline',
  stateDir: '/var/lib/fenceline/agent',
  libvirtUri: 'qemu:///system',
};
let dir = '';
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'forced-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('F29: the forced command, word by word', () => {
  const words =
    '--run-dir /run/fenceline --state-dir /var/lib/fenceline/agent --uri qemu:///system';
  expect(forcedCommand(SETTINGS, { orderTokens: false })).toBe(
    'if test -x /run/fenceline/bin/fenceline-fence; ' +
      `then exec /run/fenceline/bin/fenceline-fence ${words}; fi; ` +
      `exec /var/lib/fenceline/agent/bin/fenceline-fence ${words}`,
  );
  expect(forcedCommand(SETTINGS, { orderTokens: true })).toBe(
    'if test -x /run/fenceline/bin/fenceline-fence; ' +
      `then exec /run/fenceline/bin/fenceline-fence ${words} --tokens; fi; ` +
      `exec /var/lib/fenceline/agent/bin/fenceline-fence ${words} --tokens`,
  );
});

test.each([
  ['runDir', '/run/$(reboot)', 'a command'],
  ['runDir', '/run/a b', 'two words'],
  ['runDir', '/run/x"; id; "', 'the end of the option'],
  ['runDir', "/run/x'", 'a quote'],
  ['runDir', 'run', 'a path that depends on where sshd stands'],
  ['runDir', '/run/*', 'a glob'],
  ['runDir', '', 'nothing'],
  ['stateDir', '/var/x;id', 'a second command'],
  ['stateDir', '/var/x\nssh-rsa AAAA evil', 'a second line'],
  ['stateDir', '~/x', 'a home'],
  ['libvirtUri', 'qemu:///system?socket=`id`', 'a command'],
  ['libvirtUri', '--tokens', 'an option'],
  ['libvirtUri', 'qemu:///system#x', 'a comment'],
] as [keyof ProgramSettings, string, string][])('F29: %s %j is refused: %s', (name, value) => {
  const settings = { ...SETTINGS, [name]: value };
  expect(() => forcedCommand(settings, { orderTokens: true })).toThrow();
  expect(() => programArguments(settings, { orderTokens: false })).toThrow();
});

test('F26, F29: a shell runs the program in memory, or the one on disk while that is not there', () => {
  const settings = { ...SETTINGS, runDir: `${dir}/run`, stateDir: `${dir}/state` };
  const install = (folder: string): void => {
    mkdirSync(`${dir}/${folder}/bin`, { recursive: true });
    const file = `${dir}/${folder}/bin/fenceline-fence`;
    writeFileSync(file, `#!/bin/sh\necho ${folder} "$SSH_ORIGINAL_COMMAND" "$@"\n`);
    chmodSync(file, 0o755);
  };
  const run = (): string =>
    spawnSync('sh', ['-c', forcedCommand(settings, { orderTokens: true })], {
      encoding: 'utf8',
      env: { ...process.env, SSH_ORIGINAL_COMMAND: 'touch owned; id' },
    }).stdout;
  const words = `--run-dir ${dir}/run --state-dir ${dir}/state --uri qemu:///system --tokens\n`;
  install('state');
  expect(run()).toBe(`state touch owned; id ${words}`);
  install('run');
  expect(run()).toBe(`run touch owned; id ${words}`);
  chmodSync(`${dir}/run/bin/fenceline-fence`, 0o644);
  expect(run()).toBe(`state touch owned; id ${words}`);
});
