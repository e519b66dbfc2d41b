import { spawn } from 'node:child_process';
import { LineBuffer, messageOf } from '@fenceline/common';
import type { DomainEvent, LibvirtEvents } from '../libvirt.js';
import { parseEvent } from '../parse.js';
import { PLAIN_ENVIRONMENT } from './command.js';

const MAX_LINE_CHARS = 64 * 1_024;

/**
 * One long-lived `virsh event`. It prints the connection's uri first, when it is connected. When
 * libvirt's daemon goes, virsh says "Disconnected" on standard error and would wait for ever.
 */
export function virshEvents(options: { virsh: string; uri: string }): LibvirtEvents {
  return { open: (signal) => follow(options, signal) };
}

async function* follow(
  { virsh, uri }: { virsh: string; uri: string },
  signal: AbortSignal,
): AsyncGenerator<DomainEvent | undefined> {
  // Keep-alive: a daemon that is stopped counts as gone after three silent seconds.
  const args = ['-q', '-k', '1', '-K', '3', '-c', uri, 'uri; event --all --loop'];
  const child = spawn(virsh, args, { stdio: ['ignore', 'pipe', 'pipe'], env: PLAIN_ENVIRONMENT });
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let why = '';
  child.on('error', (error) => (why = messageOf(error)));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    why = (why + chunk).slice(0, 500);
    if (why.includes('Disconnected from')) kill();
  });
  try {
    let connected = false;
    for await (const line of linesOf(child.stdout)) {
      const event = parseEvent(line);
      if (event !== undefined) yield event;
      else if (!connected && line.trim() !== '') {
        connected = true;
        yield undefined;
      }
    }
    throw new Error(why.trim() === '' ? 'virsh event ended' : why.trim());
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
  }
}

async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const lines = new LineBuffer(MAX_LINE_CHARS);
  for await (const chunk of chunks) yield* lines.push(chunk);
}
