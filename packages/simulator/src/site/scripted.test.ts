import { expect, test } from '@jest/globals';
import { agentRoutes } from '@fenceline/protocol';
import { leaveQemuBehind, protectedVm } from './testing/protectedVm.js';

const base = {
  success: true,
  stages: [],
  stdoutBytes: 0,
  stderrBytes: 0,
  outputSha256: '',
  killed: [],
  disks: [],
  otherWriters: [],
};

test.each([
  // what every peer says instead of the truth, why that is no proof
  [{ ...base, outcome: 'stillAlive', qemuStillAlive: true }, 'alive'],
  [{ ...base, outcome: 'unreachable', targetHostUnreachable: true }, 'evidence, not a proof'],
  [{ ...base, outcome: 'confirmedDead', qemuConfirmedDead: true }, 'names no host, no boot'],
  [
    { ...base, outcome: 'confirmedDead', qemuConfirmedDead: true, qemuStillAlive: true },
    'two of three',
  ],
  [{ ...base, success: false, outcome: 'confirmedDead', qemuConfirmedDead: true }, 'no success'],
])('F32, F14: a peer that says %j starts nothing: %s', async (body, _why) => {
  const { site, vmUuid } = await protectedVm({ seed: 1 });
  const { path } = agentRoutes.fenceVm;
  for (const host of ['h2', 'h3'])
    site.listeners.script(host, path, () => ({ status: 200, body: { ...body, vmUuid } }));
  leaveQemuBehind(site, 'h1');
  const faultMs = site.world.clock.monotonicMs();
  await site.world.clock.advance(60_000);
  const after = site.listeners.calls.filter(({ atMs }) => atMs >= faultMs);
  expect(after.filter((call) => call.path === path).length).toBeGreaterThan(0);
  expect(after.filter((call) => call.path === agentRoutes.vmStart.path)).toEqual([]);
  expect(site.runningOn('web1').map(({ name }) => name)).toEqual(['h1']);
});
