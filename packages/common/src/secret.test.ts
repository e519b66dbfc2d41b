import { describe, expect, test } from '@jest/globals';
import { Console } from 'node:console';
import { PassThrough } from 'node:stream';
import { inspect } from 'node:util';
import winston from 'winston';
import { Secret } from './secret.js';

const CANARY = 'canary-7f3a91';
const secret = new Secret(CANARY);
const holder = { user: 'root', password: secret, nested: { list: [secret] } };

function printedByConsole(print: (console: Console) => void): string {
  const out = new PassThrough();
  print(new Console({ stdout: out, stderr: out }));
  return String(out.read() ?? '');
}

function printedByWinston(facts: object): string {
  const out = new PassThrough();
  const log = winston.createLogger({
    format: winston.format.json(),
    transports: [new winston.transports.Stream({ stream: out })],
  });
  log.info({ message: 'power fence asked', ...facts });
  return String(out.read() ?? '');
}

describe('F28: a secret can not print itself', () => {
  test.each<[string, () => string]>([
    ['a template', () => `${String(secret)} ${secret.toString()}`],
    ['string concatenation', () => 'x' + (secret as unknown as string)],
    ['JSON', () => JSON.stringify(holder)],
    ['JSON of a map of it', () => JSON.stringify(Object.fromEntries(Object.entries(holder)))],
    ['util.inspect', () => inspect(holder, { depth: 9 })],
    ['util.inspect that shows what is hidden', () => inspect(secret, { showHidden: true })],
    [
      'util.inspect without our own form',
      () => inspect(holder, { customInspect: false, depth: 9 }),
    ],
    ['console.log', () => printedByConsole((console) => console.log(holder, secret))],
    [
      'console.log %s',
      () => printedByConsole((console) => console.log('%s %o %j', secret, secret, secret)),
    ],
    ['console.dir', () => printedByConsole((console) => console.dir(secret, { showHidden: true }))],
    ['winston', () => printedByWinston(holder)],
    ['the text of an error', () => String(new Error(`failed with ${String(secret)}`).stack)],
    ['an error that carries it', () => inspect(Object.assign(new Error('x'), { secret }))],
    ['a spread', () => JSON.stringify(Object.assign({}, secret))],
    ['its keys', () => JSON.stringify(Reflect.ownKeys(secret))],
    ['a clone', () => inspect(structuredClone(Object.assign({}, secret)))],
  ])('by %s', (_, print) => {
    const text = print();
    expect(text).not.toBe('');
    expect(text).not.toContain(CANARY);
  });

  test('prints [secret] where a value would stand, and reveals only on request', () => {
    expect(String(secret)).toBe('[secret]');
    expect(JSON.stringify({ secret })).toBe('{"secret":"[secret]"}');
    expect(printedByWinston(holder)).toContain('"password":"[secret]"');
    expect(secret.reveal()).toBe(CANARY);
  });
});
