/**
 * Runs on `mgr`, in its networks: takes requests as lines of JSON on standard input, sends them to
 * the server's API, and writes each answer as a line. So a program outside of the lab's networks
 * can call the API as if it stood on `mgr`.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { axiosTransport, messageOf, Secret } from '@fenceline/common';
import { TransportError } from '@fenceline/protocol';
import type { BridgeAnswer, BridgeRequest } from './apiTransport.js';

const [url = '', caFile = '', tokenFile = ''] = process.argv.slice(2);

const transport = axiosTransport({
  baseUrl: url,
  tls: { ca: readFileSync(caFile, 'utf8') },
  token: new Secret(readFileSync(tokenFile, 'utf8').trim()),
});

async function answer({ id, request, deadlineMs }: BridgeRequest): Promise<BridgeAnswer> {
  try {
    return { id, answer: await transport.send(request, { deadlineMs }) };
  } catch (error) {
    const failure = error instanceof TransportError ? error.failure : 'other';
    return { id, failure, message: messageOf(error) };
  }
}

for await (const line of createInterface({ input: process.stdin }))
  void answer(JSON.parse(line) as BridgeRequest).then((said) =>
    process.stdout.write(`${JSON.stringify(said)}\n`),
  );
