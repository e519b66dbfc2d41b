import type { StreamTransport } from '@fenceline/common';
import {
  apiRoutes,
  makeClient,
  type CallOptions,
  type Client,
  type Page,
  type PageQuery,
  type Transport,
} from '@fenceline/protocol';
import type { Command } from 'commander';
import { readConnection, type ConnectionFlags } from './config.js';
import { UsageError } from './failure.js';
import { ansiPaint, plainPaint, type Paint } from './render/text.js';
import type { World } from './world.js';

/** Most items that a list shows, however many pages that takes. */
const MOST_ITEMS = 10_000;
const PAGE = 500;

/** Flags that every command takes. */
export interface GlobalFlags extends ConnectionFlags {
  json?: boolean;
  color?: boolean;
}

/** One run of one command. */
export interface Session {
  world: World;
  api: Client<typeof apiRoutes>;
  streams: StreamTransport;
  json: boolean;
  paint: Paint;
  nowMs(): number;
  /** How long a plain call may take. */
  call: CallOptions;
  /** The answer as it is with `--json`, else as lines for people. */
  show<T>(answer: T, render: (answer: T) => string[]): void;
  /** How long work goes on, for people; never with `--json`. */
  progress(line: string): void;
}

/**
 * @param needsServer false: nothing of the connection is read, and whoever calls it is told so.
 * @throws ConfigError, UsageError
 */
export function openSession(world: World, command: Command, needsServer = true): Session {
  const flags = command.optsWithGlobals<GlobalFlags>();
  const transport = needsServer ? world.connect(readConnection(world, flags)) : noServer;
  const json = flags.json ?? false;
  const noColor = (world.environment['NO_COLOR'] ?? '') !== '' || flags.color === false;
  const paint = world.terminal && !noColor ? ansiPaint : plainPaint;
  return {
    world,
    api: makeClient(apiRoutes, transport),
    streams: transport,
    json,
    paint,
    nowMs: () => world.clock.wallMs(),
    call: { deadlineMs: 30_000, signal: world.signal },
    show: (answer, render) => {
      if (json) world.out(JSON.stringify(answer, null, 2));
      else for (const line of render(answer)) world.out(line);
    },
    progress: (line) => {
      if (!json) world.err(line);
    },
  };
}

/** For commands that work without a server. */
const noServer: Transport & StreamTransport = {
  send: async () => Promise.reject(new UsageError('this needs the server')),
  open: () => {
    throw new UsageError('this needs the server');
  },
};

/** Every item of a list, page after page, up to `limit`. */
export async function allItems<Item, Query extends PageQuery>(
  read: (query: Query, options: CallOptions) => Promise<Page & { items: Item[] }>,
  query: Query & { limit?: number },
  { call }: Session,
): Promise<Item[]> {
  const most = Math.min(query.limit ?? MOST_ITEMS, MOST_ITEMS);
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const limit = Math.min(PAGE, most - items.length);
    const page = await read(
      Object.assign({}, query, { limit }, cursor === undefined ? {} : { cursor }),
      call,
    );
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined && items.length < most);
  return items;
}
