import { silentLogger } from '@fenceline/common';
import { recordingLogger, VirtualClock } from '@fenceline/common/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openMemoryStore } from '../store/adapters/sqlite.js';
import type { Store } from '../store/store.js';
import { nearSettings, settingCatalog } from './catalog.js';
import { Settings, settingsProblems } from './settings.js';
import { makeSettingsService } from './settingsService.js';

const actor = { name: 'ada', role: 'admin' as const };
const clock = new VirtualClock();

let store: Store;
beforeEach(async () => {
  store = await openMemoryStore();
});
afterEach(() => store.close());

const service = (base = new Settings(), log = silentLogger) =>
  makeSettingsService({ store, clock, log, base });

test('F16: a change is in force with the next use, durable and audited', async () => {
  const settings = await service();
  const name = 'ha.preFence.sshTimeoutSec';
  const view = await settings.put({ name, value: 30, actor, reason: 'slow hosts' });
  expect(view).toMatchObject({ value: 30, default: 20, overridden: true, changedBy: 'ada' });
  expect(settings.current().ha.preFence.sshTimeoutSec).toBe(30);
  expect((await service()).current().ha.preFence.sshTimeoutSec).toBe(30);
  const audit = await store.db.selectFrom('audit').selectAll().execute();
  expect(audit).toEqual([
    expect.objectContaining({
      actor: 'ada',
      role: 'admin',
      action: 'setting.put',
      target: name,
      reason: 'slow hosts',
      factsJson: '{"before":"20","after":"30"}',
    }),
  ]);
});

describe('ha.mode in the configuration', () => {
  test.each([
    ['active', 'detect-only', 'detect-only'],
    ['active', 'disarmed', 'disarmed'],
    ['detect-only', 'active', 'detect-only'],
    ['detect-only', 'disarmed', 'disarmed'],
    ['disarmed', 'detect-only', 'disarmed'],
  ] as const)(
    'F37: %s there and %s in a restored database, of the site or a cluster: %s',
    async (own, stored, inForce) => {
      const east = { uuid: 'c1', name: 'east' };
      const before = await service();
      await before.put({ name: 'ha.mode', value: stored, actor });
      await before.put({ name: 'ha.mode', value: stored, actor, cluster: east });
      const base = new Settings();
      base.ha.mode = own;
      const settings = await service(base);
      expect(settings.current().ha.mode).toBe(inForce);
      expect(settings.current(east.uuid).ha.mode).toBe(inForce);
      expect(await settings.show('ha.mode')).toMatchObject({ value: inForce });
    },
  );

  test('a less careful one is refused, and says where to change it; a more careful one holds', async () => {
    const base = new Settings();
    base.ha.mode = 'detect-only';
    const settings = await service(base);
    await expect(settings.put({ name: 'ha.mode', value: 'active', actor })).rejects.toMatchObject({
      code: 'REFUSED',
      message: expect.stringContaining("the server's own configuration says detect-only"),
    });
    await settings.put({ name: 'ha.mode', value: 'disarmed', actor });
    expect(settings.current().ha.mode).toBe('disarmed');
  });
});

test("null takes a change back: the file's value is in force again", async () => {
  const base = new Settings();
  base.ha.preFence.sshTimeoutSec = 25;
  const settings = await service(base);
  const name = 'ha.preFence.sshTimeoutSec';
  await settings.put({ name, value: 30, actor });
  const view = await settings.put({ name, value: null, actor });
  expect(view).toMatchObject({ value: 25, default: 20, overridden: false, changedBy: null });
  expect((await service(base)).current().ha.preFence.sshTimeoutSec).toBe(25);
});

describe('a change that does not fit is refused and changes nothing', () => {
  test.each<[string, unknown, string]>([
    ['ha.preFence.sshTimeoutSec', 0, 'below the range'],
    ['ha.preFence.sshTimeoutSec', 301, 'above the range'],
    ['ha.preFence.sshTimeoutSec', '20', 'text for a number'],
    ['ha.preFence.sshTimeoutSec', 1.5, 'no whole number'],
    ['ha.preFence.mode', 'never', 'none of the values'],
    ['ha.preFence.channels', [], 'an empty list'],
    ['ha.preFence.channels', ['peer', 'luck'], 'an unknown channel'],
    ['ha.preFence.channels', ['peer', 'peer'], 'a channel twice'],
    ['ha.unreachable.policy', 'trust', 'no such policy'],
    ['ha.unreachable.minSiblings', 0, 'nobody is no sibling'],
    ['ha.restart.backoffMin', [-1], 'a negative time'],
    ['host.allowEmulation', 'yes', 'no boolean'],
    ['ha.preFence.mode', { a: 1 }, 'an object'],
    ['ha.preFence.channels', ['mailbox'], 'nothing stands behind it'],
    ['ha.preFence.channels', ['storage', 'mailbox'], 'nor behind both'],
    ['ha.preFence.killGraceMs', 19_001, 'F16: no time is left for the kill'],
    ['ha.preFence.connectTimeoutMs', 19_501, 'F23: the call ends before the look'],
    ['ha.preFence.sshTimeoutSec', 3, 'F23: the same relation from its other side'],
    ['ha.detect.silentAfterMs', 2_999, 'less than three heartbeats'],
    ['ha.detect.heartbeatEveryMs', 1_001, 'the same relation from its other side'],
  ])('%s = %j: %s', async (name, value) => {
    const settings = await service();
    await expect(settings.put({ name, value, actor })).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining(name),
    });
    expect(settings.current()).toEqual(new Settings());
    expect(await store.db.selectFrom('settings').selectAll().execute()).toEqual([]);
    expect(await store.db.selectFrom('audit').selectAll().execute()).toEqual([]);
  });
});

test.each([
  ['ha.preFence.killGraceMs', 19_000],
  ['ha.preFence.connectTimeoutMs', 19_500],
  ['ha.preFence.channels', ['mailbox', 'own-agent']],
])('F16: the last that fits: %s = %j', async (name, value) => {
  expect(await (await service()).put({ name, value, actor })).toMatchObject({ value });
});

test('F16, F23: what makes every fence impossible is told with both settings and the rule', () => {
  const settings = new Settings();
  Object.assign(settings.ha.preFence, { killGraceMs: 60_000, sshTimeoutSec: 1 });
  expect(settingsProblems(settings)).toEqual([
    expect.stringMatching(
      /killGraceMs \(60000 ms\) must leave at least 1000 ms of .*sshTimeoutSec/,
    ),
    expect.stringMatching(/connectTimeoutMs \(3500 ms\) must be at least 500 ms less than .*ssh/),
  ]);
});

test('a cluster of its own with no channel that works is refused', async () => {
  const cluster = { uuid: 'c1', name: 'east' };
  const change = { name: 'ha.preFence.channels', value: ['storage'], actor, cluster };
  await expect((await service()).put(change)).rejects.toMatchObject({ code: 'BAD_INPUT' });
});

test('two changes at one time: the second is checked against the first', async () => {
  const settings = await service();
  const first = settings.put({ name: 'ha.detect.silentAfterMs', value: 9_000, actor });
  const second = settings.put({ name: 'ha.detect.heartbeatEveryMs', value: 3_000, actor });
  await Promise.all([first, second]);
  expect(settings.current().ha.detect).toMatchObject({
    silentAfterMs: 9_000,
    heartbeatEveryMs: 3_000,
  });
});

test('stored values that fit the file no more stop the start with a sentence', async () => {
  const settings = await service();
  await settings.put({ name: 'ha.detect.silentAfterMs', value: 3_000, actor });
  const base = new Settings();
  base.ha.detect.heartbeatEveryMs = 2_000;
  base.ha.detect.silentAfterMs = 6_000;
  await expect(service(base)).rejects.toMatchObject({
    code: 'BAD_INPUT',
    message: expect.stringContaining('at least 3 heartbeats'),
  });
});

test('a stored setting of another version is left alone, with a warning', async () => {
  const row = {
    clusterUuid: '',
    name: 'ha.future',
    valueJson: '1',
    changedAt: 'then',
    changedBy: 'ada',
  };
  await store.db.insertInto('settings').values(row).execute();
  const { log, lines } = recordingLogger();
  await service(new Settings(), log);
  expect(lines).toEqual([expect.objectContaining({ level: 'warn', facts: { name: 'ha.future' } })]);
});

test.each([
  ['ha.preFence.sshTimeout', 'ha.preFence.sshTimeoutSec'],
  ['sshTimeoutSec', 'ha.preFence.sshTimeoutSec'],
  ['ha.prefence.mode', 'ha.preFence.mode'],
  ['host.allowEmulated', 'host.allowEmulation'],
])('%s: did you mean %s?', async (typed, meant) => {
  expect(nearSettings(typed)[0]).toBe(meant);
  await expect((await service()).show(typed)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    facts: { nearest: meant },
  });
});

test('a setting that is like none: no guess, but where to look', async () => {
  await expect((await service()).show('nope')).rejects.toThrow(
    /^there is no setting nope; see: fenceline settings get$/,
  );
});

test.each<[string, unknown, string]>([
  ['ha.preFence.channels', 'peer', 'must be a list, written as ["peer"]'],
  ['ha.restart.backoffMin', 3, 'must be a list, written as [0]'],
  ['ha.detect.silentAfterMs', 'abc', 'must be a whole number from 300 to 600000'],
  ['ha.detect.silentAfterMs', 299, 'must be a whole number from 300 to 600000'],
  ['ha.detect.silentAfterMs', 300.5, 'must be a whole number from 300 to 600000'],
  ['host.allowEmulation', 'yes', 'must be true or false'],
  ['ha.mode', 'of', 'must be one of active, detect-only, disarmed'],
])('%s = %j: one sentence, how it is written', async (name, value, said) => {
  const put = (await service()).put({ name, value, actor });
  await expect(put).rejects.toMatchObject({ code: 'BAD_INPUT', message: `${name}: ${said}` });
});

test('unit and range come from the class, so that they are what is checked', () => {
  const spec = (name: string) => settingCatalog.find((each) => each.name === name);
  expect(spec('ha.preFence.connectTimeoutMs')).toMatchObject({ unit: 'ms', min: 100, max: 60_000 });
  expect(spec('ha.restart.backoffMin')).toMatchObject({ unit: 'min', min: 0 });
  expect(spec('host.reserveMemoryMiB')).toMatchObject({ unit: 'MiB' });
  expect(spec('host.reserveCpuPercent')).toMatchObject({ unit: '%', max: 100 });
  expect(spec('ha.mode')).toMatchObject({ allowed: ['active', 'detect-only', 'disarmed'] });
  expect(settingCatalog.length).toBeGreaterThan(15);
});

describe('what a cluster has for itself', () => {
  const east = { uuid: 'c0000000-0000-4000-8000-00000000000e', name: 'east' };
  const west = { uuid: 'c0000000-0000-4000-8000-00000000000f', name: 'west' };
  const name = 'ha.preFence.channels';
  beforeEach(async () => {
    for (const cluster of [east, west])
      await store.db
        .insertInto('clusters')
        .values({ ...cluster, createdAt: 'then' })
        .execute();
  });

  test('is in force there alone, durable, audited and shown', async () => {
    const settings = await service();
    const view = await settings.put({ name, value: ['peer'], actor, cluster: east, reason: 'x' });
    expect(view).toMatchObject({ value: ['peer'], overridden: true, cluster: 'east' });
    for (const each of [settings, await service()]) {
      expect(each.current(east.uuid).ha.preFence.channels).toEqual(['peer']);
      expect(each.current(west.uuid).ha.preFence.channels).toContain('power');
      expect(each.current().ha.preFence.channels).toContain('power');
      // A cluster that nobody knows has what the site has.
      expect(each.current('nobody').ha.preFence.channels).toContain('power');
    }
    expect(await settings.show(name)).toMatchObject({
      overridden: false,
      perCluster: true,
      clusterValues: [{ cluster: 'east', value: ['peer'] }],
    });
    expect(await settings.show(name, west)).toMatchObject({ overridden: false, cluster: 'west' });
    const audit = await store.db.selectFrom('audit').select(['target', 'reason']).execute();
    expect(audit).toEqual([{ target: `${name} of cluster east`, reason: 'x' }]);
  });

  test('follows the site where it has nothing of its own, and can be taken back', async () => {
    const settings = await service();
    await settings.put({ name: 'ha.mode', value: 'detect-only', actor, cluster: east });
    await settings.put({ name: 'ha.power.afterMs', value: 9_000, actor });
    expect(settings.current(east.uuid).ha).toMatchObject({
      mode: 'detect-only',
      power: { afterMs: 9_000 },
    });
    await settings.put({ name: 'ha.mode', value: null, actor, cluster: east });
    expect(settings.current(east.uuid).ha.mode).toBe('active');
  });

  test('what is one for the whole site is refused for a cluster, with the list', async () => {
    const settings = await service();
    const change = { name: 'ha.preFence.sshTimeoutSec', value: 30, actor, cluster: east };
    await expect(settings.put(change)).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringMatching(/^ha\.preFence\.sshTimeoutSec: .*ha\.preFence\.channels/),
    });
    const wrong = settings.put({ name, value: ['luck'], actor, cluster: east });
    await expect(wrong).rejects.toMatchObject({ code: 'BAD_INPUT' });
    expect(await store.db.selectFrom('settings').selectAll().execute()).toEqual([]);
    const names = (await settings.list(east)).map((view) => view.name);
    expect(names).toEqual(settingCatalog.map((s) => s.name).filter((n) => names.includes(n)));
    expect(names).toContain('ha.unreachable.policy');
    expect(names).not.toContain('ha.preFence.sshTimeoutSec');
  });
});
