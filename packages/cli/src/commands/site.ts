import {
  apiStreams,
  readItem,
  requestOf,
  SEVERITIES,
  API_ROLES,
  type EventView,
} from '@fenceline/protocol';
import { UsageError } from '../failure.js';
import { given, oneOf, uuidOf, wholeNumber } from '../flags.js';
import { auditTable, clusterTable, eventLine, nodeTable, tokenTable } from '../render/site.js';
import { readinessLines, statusLines } from '../render/status.js';
import { historyTable } from '../render/tasks.js';
import { allItems, type Session } from '../session.js';
import { word, type Add } from './command.js';

/** Commands without a noun. */
export function addTopCommands(add: Add): void {
  add({
    name: 'status',
    summary: 'Alarms, hosts, VMs and open HA tasks at a glance.',
    run: async (session) => {
      const status = await session.api.status({}, session.call);
      session.show(status, (view) => statusLines(view, session.paint));
    },
  });
  add({
    name: 'readiness',
    summary: 'Who could fence whom, and which proofs would work if a host vanished now.',
    run: async (session) => {
      const readiness = await session.api.readiness({}, session.call);
      session.show(readiness, (view) => readinessLines(view, session.paint));
    },
  });
  add({
    name: 'nodes',
    summary: 'The management nodes.',
    run: async (session) => {
      const { items } = await session.api.listNodes({}, session.call);
      session.show(items, (nodes) => nodeTable(nodes, session.paint));
    },
  });
  addEvents(add);
  addRecords(add);
}

interface EventFlags {
  follow?: boolean;
  after?: string;
  kind?: string;
  severity?: string;
  host?: string;
  vm?: string;
  task?: string;
  limit?: string;
}

function addEvents(add: Add): void {
  add<EventFlags>({
    name: 'events',
    summary: 'What happened, oldest first.',
    options: [
      ['--follow', 'go on with what happens from now on'],
      ['--after <id>', 'only what came after the event of this id'],
      ['--kind <kind>', 'a kind or its beginning, as ha.fence'],
      ['--severity <severity>', 'this or a worse one: info, warning, critical'],
      ['--host <host>', 'uuid or name'],
      ['--vm <vm>', 'uuid or name'],
      ['--task <uuid>', 'of one HA task'],
      ['--limit <count>', 'at most so many (default 50)'],
    ],
    run: async (session, _words, flags) => {
      if (flags.follow ?? false) return follow(session, flags);
      const after = wholeNumber('--after', flags.after);
      const query = {
        ...given({
          after,
          kind: flags.kind,
          severity: oneOf('--severity', flags.severity, SEVERITIES),
          host: flags.host,
          vm: flags.vm,
          taskUuid: flags.task === undefined ? undefined : uuidOf('--task', flags.task),
        }),
        limit: wholeNumber('--limit', flags.limit) ?? 50,
      };
      const found = await allItems(session.api.listEvents, query, session);
      const events = after === undefined ? found.toReversed() : found;
      session.show(events, (items) => items.map((event) => eventLine(event, session.paint)));
    },
  });
}

/** One event per line, as JSON with `--json`, until Ctrl-C. */
async function follow(session: Session, flags: EventFlags): Promise<void> {
  for (const flag of ['kind', 'severity', 'host', 'vm'] as const)
    if (flags[flag] !== undefined) throw new UsageError(`--follow can't be limited by --${flag}`);
  const request = {
    follow: true as const,
    ...given({
      after: wholeNumber('--after', flags.after),
      taskUuid: flags.task === undefined ? undefined : uuidOf('--task', flags.task),
    }),
  };
  const { signal } = session.world;
  const asked = requestOf(apiStreams.followEvents, request);
  const items = session.streams.open(asked, { connectTimeoutMs: 10_000, signal });
  try {
    for await (const item of items) {
      const event: EventView = readItem(apiStreams.followEvents, item);
      session.world.out(session.json ? JSON.stringify(event) : eventLine(event, session.paint));
    }
  } catch (error) {
    // Ctrl-C is how this ends.
    if (!signal.aborted) throw error;
  }
}

interface RecordFlags {
  vm?: string;
  actor?: string;
  action?: string;
  limit?: string;
}

function addRecords(add: Add): void {
  add<RecordFlags>({
    name: 'history',
    summary: 'Attempts to bring VMs back, newest first.',
    options: [
      ['--vm <vm>', 'uuid or name'],
      ['--limit <count>', 'at most so many (default 50)'],
    ],
    run: async (session, _words, { vm, limit }) => {
      const query = { ...given({ vm }), limit: wholeNumber('--limit', limit) ?? 50 };
      const attempts = await allItems(session.api.listHistory, query, session);
      session.show(attempts, (items) => historyTable(items, session.paint));
    },
  });
  add<RecordFlags>({
    name: 'audit',
    summary: 'Who changed what, newest first.',
    options: [
      ['--actor <name>', 'name of a token'],
      ['--action <action>', 'an action or its beginning, as host'],
      ['--limit <count>', 'at most so many (default 50)'],
    ],
    run: async (session, _words, { actor, action, limit }) => {
      const query = { ...given({ actor, action }), limit: wholeNumber('--limit', limit) ?? 50 };
      const rows = await allItems(session.api.listAudit, query, session);
      session.show(rows, (items) => auditTable(items, session.paint));
    },
  });
}

export function addClusterCommands(add: Add): void {
  add({
    name: 'list',
    summary: 'Clusters by name.',
    run: async (session) => {
      const clusters = await allItems(session.api.listClusters, {}, session);
      session.show(clusters, (items) => clusterTable(items, session.paint));
    },
  });
  add({
    name: 'create <name>',
    summary: 'Make a cluster.',
    run: async (session, words) => {
      const cluster = await session.api.createCluster({ name: word(words) }, session.call);
      session.show(cluster, (view) => clusterTable([view], session.paint));
    },
  });
}

export function addTokenCommands(add: Add): void {
  add({
    name: 'list',
    summary: 'Access tokens by name.',
    run: async (session) => {
      const tokens = await allItems(session.api.listTokens, {}, session);
      session.show(tokens, (items) => tokenTable(items, session.paint));
    },
  });
  add<{ role?: string }>({
    name: 'create <name>',
    summary: 'Make an access token; it is shown this once.',
    options: [['--role <role>', 'viewer (default), operator or admin']],
    run: async (session, words, flags) => {
      const role = oneOf('--role', flags.role, API_ROLES) ?? 'viewer';
      const created = await session.api.createToken({ name: word(words), role }, session.call);
      session.show(created, ({ token }) => [token]);
    },
  });
  add({
    name: 'revoke <token>',
    summary: 'Make a token worthless at once; by uuid or name.',
    run: async (session, words) => {
      const revoked = await session.api.revokeToken({ token: word(words) }, session.call);
      session.show(revoked, () => [`${word(words)} is revoked`]);
    },
  });
}
