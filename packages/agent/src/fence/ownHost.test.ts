import { expect, test } from '@jest/globals';
import { isOwnAddress } from './ownHost.js';

const own = ['10.77.1.12', 'fe80::1', '2001:db8::12', 'H2.example.org'];
test.each([
  ['10.77.1.12', true],
  ['10.77.1.1', false],
  ['::ffff:10.77.1.12', true],
  ['2001:0DB8:0:0::12', true],
  ['2001:db8::13', false],
  ['h2.example.org.', true],
  ['h22.example.org', false],
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', true],
  ['::', true],
])('F18: %s is this host: %s', (address, expected) => {
  expect(isOwnAddress(address, own)).toBe(expected);
});
