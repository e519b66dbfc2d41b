#!/usr/bin/env node
import { messageOf } from '@fenceline/common';
import { composeServer } from './compose.js';
import { realWorld } from './program/adapters/realWorld.js';
import { EXIT } from './program/explain.js';
import { runServer } from './program/serverProgram.js';

/**
 * safety: after an error that nobody caught, what this process believes may be wrong. It ends, and
 * its next start goes on from what is durable.
 */
for (const kind of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(kind, (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined;
    const line = { level: 'error', message: 'a defect ends the server', error: messageOf(error) };
    process.stderr.write(`${JSON.stringify({ ...line, stack })}\n`);
    process.exit(EXIT.failed);
  });

process.exitCode = await runServer(process.argv.slice(2), realWorld(composeServer));
