import { isoNow, type Clock, type Random } from '@fenceline/common';
import { FENCELINE_VERSION, isUuid, type NodeView } from '@fenceline/protocol';
import { fromJson, StoreError, type Queryable, type Store } from '../store/store.js';

/** This management node, as its records name it. */
export interface ManagementNode {
  uuid: string;
  /** One more than at the start before, durably: marks what this life of the server owns. */
  ownerEpoch: number;
  /** Made with the database; agents remember it (F37). */
  databaseIncarnation: string;
  startedAt: string;
}

const NODE_UUID = 'node.uuid';
const OWNER_EPOCH = 'node.ownerEpoch';
const INCARNATION = 'database.incarnation';
const ROW_PREFIX = 'node.row.';

/**
 * Registers this start of the server. What it resolves with is on disk: no two starts on one
 * database ever have the same owner epoch.
 * @throws StoreError CORRUPT if its records are not what this server writes.
 */
export async function registerNode(
  store: Store,
  clock: Clock,
  random: Random,
): Promise<ManagementNode> {
  return store.transaction(async (tx) => {
    const uuid = await readOrMake(tx, NODE_UUID, random);
    const databaseIncarnation = await readOrMake(tx, INCARNATION, random);
    const last = Number((await read(tx, OWNER_EPOCH)) ?? '0');
    if (!Number.isSafeInteger(last) || last < 0) throw damaged(OWNER_EPOCH);
    const node = { uuid, ownerEpoch: last + 1, databaseIncarnation, startedAt: isoNow(clock) };
    await write(tx, OWNER_EPOCH, String(node.ownerEpoch));
    const row = { ...node, version: FENCELINE_VERSION };
    await write(tx, `${ROW_PREFIX}${uuid}`, JSON.stringify(row));
    return node;
  });
}

/** Every management node that ever registered here. */
export async function listNodes(on: Queryable, self: ManagementNode): Promise<NodeView[]> {
  const rows = await on
    .selectFrom('meta')
    .select('value')
    .where('key', 'like', `${ROW_PREFIX}%`)
    .orderBy('key')
    .execute();
  return rows.map(({ value }) => {
    const row = fromJson<Omit<NodeView, 'self'>>(value);
    return { ...row, self: row.uuid === self.uuid };
  });
}

async function readOrMake(on: Queryable, key: string, random: Random): Promise<string> {
  const known = await read(on, key);
  if (known !== undefined && !isUuid(known)) throw damaged(key);
  if (known !== undefined) return known;
  const made = random.uuid();
  await write(on, key, made);
  return made;
}

async function read(on: Queryable, key: string): Promise<string | undefined> {
  const row = await on.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst();
  return row?.value;
}

async function write(on: Queryable, key: string, value: string): Promise<void> {
  await on
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
}

function damaged(key: string): StoreError {
  return new StoreError('CORRUPT', `the database's record ${key} is damaged; restore a backup`);
}
