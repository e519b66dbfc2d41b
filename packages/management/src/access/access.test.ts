import { createHash } from 'node:crypto';
import { silentLogger } from '@fenceline/common';
import { seededRandom, VirtualClock } from '@fenceline/common/testing';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openMemoryStore } from '../store/adapters/sqlite.js';
import type { Store } from '../store/store.js';
import { makeAudit } from './audit.js';
import { makeIdentify } from './identify.js';
import { makeLoginLimit } from './loginLimit.js';
import { makeTokens, type Tokens } from './tokens.js';

const clock = new VirtualClock();
let store: Store;
let tokens: Tokens;
beforeEach(async () => {
  store = await openMemoryStore();
  tokens = makeTokens({ store, clock, random: seededRandom(1) });
});
afterEach(() => store.close());

describe('tokens', () => {
  test('only the SHA-256 is stored', async () => {
    const { token } = await tokens.create({ name: 'ci', role: 'viewer' });
    const text = token.reveal();
    expect(text).toMatch(/^fenceline_[0-9a-f]{64}$/);
    const rows = await store.db.selectFrom('tokens').selectAll().execute();
    expect(rows[0]?.tokenSha256).toBe(createHash('sha256').update(text).digest('hex'));
    expect(JSON.stringify(rows)).not.toContain(text);
    expect(await tokens.find(text)).toEqual({ name: 'ci', role: 'viewer' });
  });

  test.each([
    ['', 'nothing'],
    ['fenceline_', 'the beginning only'],
    [`fenceline_${'0'.repeat(64)}`, 'a token of nobody'],
    [`fenceline_${'0'.repeat(65)}`, 'too long'],
  ])('%j finds nobody: %s', async (token) => {
    await tokens.create({ name: 'ci', role: 'viewer' });
    expect(await tokens.find(token)).toBeUndefined();
  });

  test('a stored hash is no token', async () => {
    await tokens.create({ name: 'ci', role: 'admin' });
    const row = await store.db.selectFrom('tokens').selectAll().executeTakeFirstOrThrow();
    expect(await tokens.find(`fenceline_${row.tokenSha256}`)).toBeUndefined();
  });

  test('the first start makes one admin token, later ones none', async () => {
    expect((await tokens.ensureAdmin(false))?.reveal()).toMatch(/^fenceline_/);
    expect(await tokens.ensureAdmin(false)).toBeUndefined();
  });

  test('one more on demand; the first stays valid', async () => {
    const first = await tokens.ensureAdmin(false);
    const second = await tokens.ensureAdmin(true);
    expect(await tokens.find(second?.reveal() ?? '')).toEqual({ name: 'admin-2', role: 'admin' });
    expect(await tokens.find(first?.reveal() ?? '')).toEqual({ name: 'admin', role: 'admin' });
  });

  test('names are unique', async () => {
    await tokens.create({ name: 'ci', role: 'viewer' });
    await expect(tokens.create({ name: 'ci', role: 'admin' })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
  });
});

describe('who calls', () => {
  const identify = () => makeIdentify(tokens, clock, silentLogger);

  test.each([
    ['Bearer ', true],
    ['bearer ', true],
    ['Bearer  ', true],
    ['Basic ', false],
    ['', false],
  ])('%j in front of the token: known %j', async (prefix, known) => {
    const { token } = await tokens.create({ name: 'ci', role: 'viewer' });
    const authorization = `${prefix}${token.reveal()}`;
    const caller = await identify()({ authorization, address: '192.0.2.1' });
    expect(caller !== undefined).toBe(known);
  });

  test('an address with many failures is told to wait; a good token is heard all the same', async () => {
    const ask = identify();
    const { token } = await tokens.create({ name: 'ci', role: 'viewer' });
    const bad = { authorization: 'Bearer x', address: '192.0.2.1' };
    for (let i = 0; i < 20; i += 1) expect(await ask(bad)).toBeUndefined();
    await expect(ask(bad)).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
    expect(await ask({ ...bad, address: '192.0.2.2' })).toBeUndefined();
    expect(await ask({ ...bad, authorization: `Bearer ${token.reveal()}` })).toBeDefined();
    await clock.advance(60_000);
    expect(await ask(bad)).toBeUndefined();
  });
});

describe('failed logins', () => {
  test('what is remembered has a bound: the oldest address makes room', () => {
    const limit = makeLoginLimit();
    for (let i = 0; i < 21; i += 1) limit.failed('192.0.2.1', 0);
    for (let i = 0; i < 4_096; i += 1) limit.failed(`host-${i}`, 0);
    expect(limit.failed('192.0.2.1', 0)).toBe(false);
  });

  test('an IPv6 network counts as one caller', () => {
    const limit = makeLoginLimit();
    for (let i = 0; i < 20; i += 1) limit.failed(`2001:db8:0:1:${i.toString(16)}::1`, 0);
    expect(limit.failed('2001:db8:0:1:ffff::1', 0)).toBe(true);
    expect(limit.failed('2001:db8:0:2::1', 0)).toBe(false);
  });
});

describe('audit', () => {
  const entry = {
    actor: { name: 'ada', role: 'admin' as const },
    action: 'host.remove',
    target: 'h1',
  };

  test('the wish is on record before the work begins', async () => {
    const audit = makeAudit(store, clock);
    const seen = await audit.change(entry, () =>
      store.db.selectFrom('audit').select('action').execute(),
    );
    expect(seen).toEqual([{ action: 'host.remove' }]);
  });

  test('no record, no work', async () => {
    const audit = makeAudit(store, clock);
    await store.db.schema.dropTable('audit').execute();
    let worked = false;
    const change = audit.change(entry, async () => {
      worked = true;
    });
    await expect(change).rejects.toThrow('audit');
    expect(worked).toBe(false);
  });
});
