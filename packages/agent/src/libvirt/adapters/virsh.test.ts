import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Libvirt } from '../libvirt.js';
import { virshLibvirt } from './virsh.js';
import { virshEvents } from './virshEvents.js';

const VM = '11111111-2222-4333-8444-555555555555';
let dir = '';
beforeEach(async () => (dir = await mkdtemp(join(tmpdir(), 'fenceline-virsh-'))));
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A program in virsh's place; its last argument is what is asked. */
async function virsh(body: string): Promise<string> {
  const path = join(dir, 'virsh');
  await writeFile(path, `#!/bin/bash\nasked="\${@: -1}"\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

async function libvirt(body: string, timeoutMs = 2_000): Promise<Libvirt> {
  return virshLibvirt({ virsh: await virsh(body), uri: 'test:///', runDir: dir, timeoutMs });
}

const answer = `cat <<'E'
${VM} web 1

Domain: 'web 1'
  state.state=1
  state.reason=1

E`;

/** SIGKILL has been sent; the kernel ends the process a moment later. */
async function gone(pid: number): Promise<void> {
  const isThere = (): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  for (let i = 0; i < 500 && isThere(); i += 1) await setTimeout(10);
  expect(isThere()).toBe(false);
}

test('domains come from one process, in plain English and without a shell', async () => {
  const port = await libvirt(`[[ $LC_ALL = C && $1 = -q && $3 = test:/// ]] || exit 9\n${answer}`);
  const expected = { vmUuid: VM, name: 'web 1', state: 'Running' };
  expect(await port.domains()).toEqual([expected]);
  expect(await port.domain(VM)).toEqual(expected);
});

test('"no such VM" is an answer, a failure is none', async () => {
  const missing = await libvirt(`echo "error: failed to get domain '${VM}'" >&2; exit 1`);
  expect(await missing.domain(VM)).toBeUndefined();
  await expect(missing.definition(VM)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const failing = await libvirt("echo 'error: Failed to connect socket' >&2; exit 1");
  await expect(failing.domain(VM)).rejects.toMatchObject({ code: 'LIBVIRT_FAILED' });
  const silent = await libvirt('true');
  await expect(silent.domain(VM)).rejects.toMatchObject({ code: 'LIBVIRT_FAILED' });
});

test('a virsh that hangs is killed at its limit, and holds up no urgent call', async () => {
  const port = await libvirt(
    `[[ $asked = *list* ]] && { echo $$ >> ${join(dir, 'pids')}; exec sleep 60; }; true`,
    2_000,
  );
  const looks = Array.from({ length: 6 }, () => port.domains());
  const begun = Date.now();
  await port.shutdown(VM);
  // Well before the first look is given up, with room for a busy machine.
  expect(Date.now() - begun).toBeLessThan(1_500);
  for (const look of await Promise.allSettled(looks))
    expect(look).toMatchObject({ status: 'rejected', reason: { code: 'TIMED_OUT' } });
  for (const pid of (await readFile(join(dir, 'pids'), 'utf8')).trim().split('\n'))
    await gone(Number(pid));
});

test('a question that waits behind hung ones ends in time, too', async () => {
  const port = await libvirt('exec sleep 60', 300);
  const begun = Date.now();
  const looks = await Promise.allSettled(Array.from({ length: 40 }, () => port.domains()));
  expect(Date.now() - begun).toBeLessThan(1_500);
  for (const look of looks)
    expect(look).toMatchObject({ status: 'rejected', reason: { code: 'TIMED_OUT' } });
});

test('endless output is cut off', async () => {
  const port = await libvirt('exec yes');
  await expect(port.domains()).rejects.toMatchObject({ code: 'LIBVIRT_FAILED' });
});

test('a virsh that is not there is named', async () => {
  const port = virshLibvirt({ virsh: join(dir, 'no'), uri: 'x', runDir: dir, timeoutMs: 500 });
  await expect(port.domains()).rejects.toThrow(`can't run ${join(dir, 'no')}`);
});

const start = { vmUuid: VM, epoch: 3, xml: '<domain/>' };

test('F34: a prepared start does nothing until its go, and keeps pid and start time', async () => {
  const seen = join(dir, 'seen');
  const port = await libvirt(
    `cp "$asked" ${seen}; echo "$$ $(cut -d' ' -f22 /proc/$$/stat)" >> ${seen}`,
  );
  const pending = await port.prepareStart(start);
  expect(await readdir(dir)).not.toContain('seen');
  await pending.go(2_000);
  expect(await readFile(seen, 'utf8')).toBe(`<domain/>${pending.pid} ${pending.startTime}\n`);
  expect(await pending.abandon()).toBe('resolved');
  expect(await readdir(join(dir, 'xml'))).toEqual([]);
});

test('F34: an abandoned start never happens', async () => {
  const port = await libvirt(`touch ${join(dir, 'seen')}`);
  const pending = await port.prepareStart(start);
  expect(await pending.abandon()).toBe('resolved');
  await expect(pending.go(500)).rejects.toMatchObject({ code: 'LIBVIRT_FAILED' });
  expect(await readdir(dir)).not.toContain('seen');
});

test('F34: a start whose process is killed from outside fails as that', async () => {
  const port = await libvirt('exec sleep 60');
  const pending = await port.prepareStart(start);
  const going = pending.go(5_000);
  process.kill(pending.pid, 'SIGKILL');
  await expect(going).rejects.toThrow('ended from outside');
  expect(await pending.abandon()).toBe('unresolved');
});

test('F40: a refused image lock at start', async () => {
  const port = await libvirt(
    `printf '%s\\n' 'error: Failed to get "write" lock' 'Is another process using the image [/a]?' >&2; exit 1`,
  );
  const pending = await port.prepareStart(start);
  await expect(pending.go(2_000)).rejects.toMatchObject({
    code: 'IMAGE_LOCKED',
    facts: { path: '/a' },
  });
});

test('a start that libvirt does not finish in time is given up', async () => {
  const port = await libvirt('exec sleep 60');
  const pending = await port.prepareStart(start);
  await expect(pending.go(200)).rejects.toMatchObject({ code: 'TIMED_OUT' });
  // F34: libvirt's daemon may still have it in its queue.
  expect(await pending.abandon()).toBe('unresolved');
  expect(() => process.kill(pending.pid, 0)).toThrow('ESRCH');
});

test.each([
  ['Failed to create domain from x\nerror: operation failed: no such disk', 'resolved'],
  ['failed to connect to the hypervisor\nerror: Failed to connect socket', 'resolved'],
  ['Disconnected from qemu:///system due to end of file', 'unresolved'],
  ['End of file while reading data: Input/output error', 'unresolved'],
  ['internal error: connection closed due to keepalive timeout', 'unresolved'],
  ['Cannot recv data: Connection reset by peer', 'unresolved'],
  ['internal error: client socket is closed', 'unresolved'],
])('F34: a virsh that ended by itself and said %j: the start is %s', async (said, expected) => {
  const port = await libvirt(`printf '%s\\n' ${JSON.stringify(`error: ${said}`)} >&2; exit 1`);
  const pending = await port.prepareStart(start);
  await expect(pending.go(2_000)).rejects.toMatchObject({ code: 'LIBVIRT_FAILED' });
  expect(await pending.abandon()).toBe(expected);
});

test('events: connected, then what happens, until libvirt is gone', async () => {
  const events = virshEvents({
    uri: 'test:///',
    virsh: await virsh(`echo test:///
echo "event 'rtc-change' for domain 'a': 3"
echo "event 'lifecycle' for domain 'a b': Stopped Destroyed"
sleep 0.1
echo 'error: Disconnected from test:/// due to end of file' >&2
exec sleep 60`),
  });
  const seen: unknown[] = [];
  const follow = async (): Promise<void> => {
    for await (const event of events.open(new AbortController().signal)) seen.push(event);
  };
  await expect(follow()).rejects.toThrow('Disconnected');
  expect(seen).toEqual([undefined, { domainName: 'a b', what: 'Stopped Destroyed' }]);
});

test('events end when the agent stops', async () => {
  const events = virshEvents({ uri: 'x', virsh: await virsh('echo x; exec sleep 60') });
  const stop = new AbortController();
  const follow = async (): Promise<void> => {
    for await (const event of events.open(stop.signal)) if (event === undefined) stop.abort();
  };
  await expect(follow()).rejects.toThrow('virsh event ended');
});
