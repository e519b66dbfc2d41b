import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger, systemClock, systemRandom } from '@fenceline/common';
import { agentRoutes, parseBody } from '@fenceline/protocol';
import type { LocalFence } from '../vms/localFence.js';
import { localProgram } from './adapters/localProgram.js';
import { makeLocalFence } from './localFence.js';

// The real program as a child of this process, in a pid namespace of its own.

const PROGRAM = join(import.meta.dirname, 'program/fenceline-fence');
const VM = '11111111-2222-3333-4444-555555555555';
const HOST = 'aaaaaaaa-2222-3333-4444-555555555555';
const UNSHARE = [
  ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']),
  '--pid',
  '--fork',
  '--mount-proc',
  '--kill-child',
];
const canUnshare = spawnSync('unshare', [...UNSHARE, 'true']).status === 0;

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'fence-local-'));
  for (const name of ['run', 'state', 'bin']) mkdirSync(join(dir, name));
  writeFileSync(join(dir, 'run/host'), `${HOST}\n`);
  writeFileSync(join(dir, 'img'), 'data');
  script(
    'bin/virsh',
    `for w in $(tr ';' '\\n' <<<"$3" | grep '^echo' | cut -d' ' -f3); do echo "@ $w"; echo web; echo 'shut off'; done`,
  );
  mkdirSync(join(dir, 'state/bin'));
  script('state/bin/fenceline-fence', `exec unshare ${UNSHARE.join(' ')} ${PROGRAM} "$@"`);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function script(name: string, text: string): void {
  writeFileSync(join(dir, name), `#!/bin/bash\n${text}\n`);
  chmodSync(join(dir, name), 0o755);
}

function make(hostUuid: string | undefined = HOST): LocalFence {
  const runner = localProgram({
    clock: systemClock,
    runDir: join(dir, 'run'),
    stateDir: join(dir, 'state'),
    libvirtUri: 'qemu:///system',
    path: `${join(dir, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin`,
  });
  const ports = { clock: systemClock, random: systemRandom, log: silentLogger, runner };
  return makeLocalFence({ ...ports, hostUuid: async () => hostUuid });
}

const request = {
  vms: [{ vmUuid: VM, fenceEpoch: 7, disks: [{ kind: 'file' as const, source: '' }] }],
  deadlineMs: 3_000,
  killGraceMs: 20,
};
const asked = (): typeof request => ({
  ...request,
  vms: [{ vmUuid: VM, fenceEpoch: 7, disks: [{ kind: 'file', source: join(dir, 'img') }] }],
});

(canUnshare ? describe : describe.skip)('the program on this host', () => {
  test('F22, F34: the same verdict with the same proof, behind a barrier', async () => {
    const rsp = await make().fence(asked());
    expect(rsp).toMatchObject({ success: true, hostUuid: HOST });
    expect(rsp.verdicts).toMatchObject([
      { outcome: 'nothingFound', qemuConfirmedDead: true, barrier: 'disk' },
    ]);
    expect(readFileSync(join(dir, 'run/barriers', VM), 'utf8')).toBe('7\n');
    expect(rsp.stages.map(({ name }) => name)).toContain('drain');
    expect(parseBody(agentRoutes.fenceVms.response, JSON.parse(JSON.stringify(rsp)))).toBeTruthy();
  });

  test('F22: another host’s records make it refuse', async () => {
    const rsp = await make(VM).fence(asked());
    expect(rsp.verdicts).toMatchObject([{ outcome: 'wrongHost', qemuConfirmedDead: false }]);
    expect(existsSync(join(dir, 'run/barriers', VM))).toBe(false);
  });

  test('F25: a program that hangs is given up in time', async () => {
    script('state/bin/fenceline-fence', 'exec sleep 1000');
    const begun = performance.now();
    const rsp = await make().fence({ ...asked(), deadlineMs: 500 });
    expect(performance.now() - begun).toBeLessThan(2_500);
    expect(rsp.verdicts).toMatchObject([{ outcome: 'deadline' }]);
  });
});

test('a program that is not there is a failure, never a verdict', async () => {
  rmSync(join(dir, 'state/bin/fenceline-fence'));
  const rsp = await make().fence(asked());
  expect(rsp).toMatchObject({ success: false, error: { code: 'INTERNAL' } });
  expect(rsp.verdicts).toMatchObject([{ outcome: 'localError', qemuConfirmedDead: false }]);
});

test('a host that belongs to no cluster proves nothing', async () => {
  const rsp = await make('').fence(asked());
  expect(rsp.success).toBe(false);
});
