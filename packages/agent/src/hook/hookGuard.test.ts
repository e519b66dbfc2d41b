import { expect, test } from '@jest/globals';
import { silentLogger } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { makeHookGuard } from './hookGuard.js';
import { judgeProbe } from './judgeProbe.js';
import { memoryHook, type MemoryHook } from './memoryHook.js';
import { renderList } from './protectedList.js';

const VM = '11111111-2222-4333-8444-555555555555';
const vms = [{ vmUuid: VM, disks: [{ kind: 'file' as const, source: '/srv/a.img' }] }];

async function guarded(prepare: (hook: MemoryHook) => void = () => undefined) {
  const clock = new VirtualClock();
  const hook = memoryHook(60_000);
  prepare(hook);
  const guard = makeHookGuard({ clock, random: seededRandom(1), log: silentLogger, hook });
  await guard.start();
  await clock.advance(1);
  return { clock, hook, guard };
}

test.each([
  [{ started: false, said: 'x: Fenceline: hook 1 refuses probe ab12\n' }, true, 'its own words'],
  [{ started: true, said: '' }, false, 'it was started'],
  [{ started: true, said: 'Fenceline: hook 1 refuses probe ab12' }, false, 'started all the same'],
  [{ started: false, said: 'Fenceline: hook 1 refuses probe ab123' }, false, 'another nonce'],
  [{ started: false, said: 'Fenceline: hook 1 refuses probe ab1' }, false, 'half of it'],
  [{ started: false, said: 'error: no space for probe ab12' }, false, 'refused by somebody else'],
  [{ started: false, said: '' }, false, 'no word'],
])('F34: a probe that ended with %j shows %s: %s', (end, working) => {
  expect(judgeProbe('ab12', end).working).toBe(working);
});

test('F34: a hook that is missing is put back, libvirt is told, and it is probed again', async () => {
  const { hook, guard } = await guarded((one) =>
    Object.assign(one, { inPlace: false, known: false }),
  );
  expect(hook.trace).toEqual(['install', 'probe', 'hangUp', 'probe']);
  expect(guard.state()).toMatchObject({ working: true, protectedVms: null });
  await guard.stop();
});

test('F34: what breaks is noticed within an interval, and told until it is repaired', async () => {
  const { clock, hook, guard } = await guarded();
  expect(guard.state()).toMatchObject({ working: true, checkedAgeMs: expect.any(Number) });
  Object.assign(hook, { known: false, daemon: false });
  await clock.advance(60_001);
  expect(guard.state()).toMatchObject({ working: false, why: expect.stringContaining('started') });
  hook.daemon = true;
  await clock.advance(5_001);
  expect(guard.state()).toMatchObject({ working: true });
  await guard.stop();
});

test('F34: another daemon of libvirt is probed at once', async () => {
  const { clock, hook, guard } = await guarded();
  hook.trace.length = 0;
  guard.check();
  await clock.advance(1);
  expect(hook.trace).toContain('probe');
  await guard.stop();
});

test('F34: probes that no longer end show nothing any more', async () => {
  const { clock, hook, guard } = await guarded();
  hook.caller.probe = () => new Promise(() => undefined);
  await clock.advance(200_000);
  expect(guard.state()).toMatchObject({
    working: false,
    why: 'no probe has ended for a long time',
  });
  const stopped = guard.stop();
  await clock.advance(1_001);
  await stopped;
});

test('F34: the list is on disk before the hook has it, and is there again after a boot', async () => {
  const { hook, guard } = await guarded();
  hook.trace.length = 0;
  expect(await guard.protect({ vms })).toMatchObject({ success: true, hook: { protectedVms: 1 } });
  expect(hook.trace).toEqual(['keep', 'offer']);
  await guard.stop();
  const later = await guarded((one) => Object.assign(one, { disk: hook.disk }));
  expect(later.hook.memory).toBe(renderList(vms));
  expect(later.guard.state()).toMatchObject({ protectedVms: 1 });
  await later.guard.stop();
});

test('F34: a list that somebody took from the hook is given back', async () => {
  const { clock, hook, guard } = await guarded();
  await guard.protect({ vms });
  hook.memory = undefined;
  await clock.advance(60_001);
  expect(hook.memory).toBe(renderList(vms));
  await guard.stop();
});

test('F34: a disk that hangs keeps the answer back, not the protection', async () => {
  const { clock, hook, guard } = await guarded();
  hook.lists.keep = () => new Promise(() => undefined);
  const answer = guard.protect({ vms });
  const failed = expect(answer).rejects.toThrow('no answer within 5000 ms');
  await clock.advance(5_001);
  await failed;
  expect(hook.memory).toBe(renderList(vms));
  await guard.stop();
});

test('F34: half a list on disk is not offered; the host says so until the server sends one', async () => {
  const { guard, hook } = await guarded((one) => Object.assign(one, { disk: 'fenceline-prot' }));
  expect(hook.memory).toBeUndefined();
  expect(guard.state()).toMatchObject({
    working: false,
    why: expect.stringContaining('not whole'),
  });
  await guard.protect({ vms });
  expect(guard.state()).toMatchObject({ working: true });
  await guard.stop();
});

test('F34: a libvirt that can not be asked says nothing about the hook', async () => {
  const { clock, hook, guard } = await guarded();
  hook.answer = () => {
    throw new Error('failed to connect');
  };
  await clock.advance(60_001);
  expect(guard.known()).toMatchObject({ working: true });
  hook.answer = undefined;
  await clock.advance(5_001);
  expect(guard.known()).toMatchObject({ working: true, checkedAgeMs: expect.any(Number) });
  await guard.stop();
});

test('F34: a hook that was never probed is not told of', async () => {
  const { guard } = await guarded((one) => {
    one.caller.probe = () => Promise.reject(new Error('failed to connect'));
  });
  expect(guard.known()).toBeUndefined();
  expect(guard.state()).toMatchObject({ working: false });
  await guard.stop();
});
