import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { afterEach, expect, test } from '@jest/globals';
import { promptSocket } from './promptSocket.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Two ends of one connection on loopback. */
async function pair(): Promise<{ ours: Socket; theirs: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ours = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [theirs] = (await once(server, 'connection')) as [Socket];
  closers.push(() => {
    for (const socket of [ours, theirs]) socket.destroy();
    server.close();
  });
  return { ours, theirs };
}

test('the parts of a packet travel together, packets of different turns by themselves', async () => {
  const sent: string[] = [];
  const socket = new Duplex({
    read: () => undefined,
    writev: (chunks, done) => {
      sent.push(chunks.map(({ chunk }) => String(chunk)).join('|'));
      done();
    },
  });
  promptSocket(socket as Socket);
  for (const part of ['length', 'payload', 'tag']) socket.write(part);
  await Promise.resolve();
  socket.write('next');
  await Promise.resolve();
  expect(sent).toEqual(['length|payload|tag', 'next']);
});

test('data that nobody answers is answered, a few times, until it is stopped', async () => {
  const { ours, theirs } = await pair();
  const heard: string[] = [];
  const prompt = promptSocket(ours);
  // Stands for ssh2: it answers what asks for an answer.
  ours.on('data', (data) => {
    heard.push(String(data));
    if (String(data) === 'question') ours.write('answer');
  });
  const acknowledging = prompt.answerData(() => void ours.write('ack'), 2);
  const told = async (text: string): Promise<string> => {
    theirs.write(text);
    return String(((await once(theirs, 'data')) as [Buffer])[0]);
  };
  expect(await told('debug')).toBe('ack');
  expect(await told('question')).toBe('answer');
  expect(await told('debug')).toBe('ack');
  // The third one is over the bound: the next thing that comes is the answer to a question.
  theirs.write('debug');
  await once(ours, 'data');
  expect(await told('question')).toBe('answer');
  acknowledging.stop();
  expect(ours.listenerCount('data')).toBe(1);
  expect(heard).toEqual(['debug', 'question', 'debug', 'debug', 'question']);
});
