import { expect, test } from '@jest/globals';
import {
  parseCpuInfo,
  parseHostKey,
  parseMemInfo,
  parseNamespace,
  reachableAddresses,
} from './parseHost.js';

test('cpu model and virtualization flags', () => {
  const text = 'processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu vmx sse\n';
  expect(parseCpuInfo(text)).toEqual({ cpuModel: 'Some CPU @ 2 GHz', cpuVirtualization: true });
  expect(parseCpuInfo('flags : vmxnet')).toEqual({ cpuModel: '', cpuVirtualization: false });
});

test('memory in whole MiB', () => {
  expect(parseMemInfo('MemTotal:  2097663 kB\nMemAvailable: 1024 kB\n')).toEqual({
    memoryMiB: 2_048,
    memoryAvailableMiB: 1,
  });
  expect(() => parseMemInfo('')).toThrow('MemTotal');
});

test('host keys lose their comment; private keys and other text are none', () => {
  expect(parseHostKey('ssh-ed25519 AAAAC3Nz root@h1\n')).toBe('ssh-ed25519 AAAAC3Nz');
  expect(parseHostKey('ecdsa-sha2-nistp256 AAAA=')).toBe('ecdsa-sha2-nistp256 AAAA=');
  expect(parseHostKey('-----BEGIN OPENSSH PRIVATE KEY-----')).toBeUndefined();
  expect(parseHostKey(`ssh-rsa ${'A'.repeat(2_041)}`)).toBeUndefined();
});

test('addresses that others can use', () => {
  expect(
    reachableAddresses([
      { address: '127.0.0.1', internal: true },
      { address: '10.77.1.11', internal: false },
      { address: 'fe80::1', internal: false },
      { address: '10.77.1.11', internal: false },
      { address: '2001:db8::1', internal: false },
    ]),
  ).toEqual(['10.77.1.11', '2001:db8::1']);
});

test('the number of a namespace', () => {
  expect(parseNamespace('pid:[4026531836]')).toBe('4026531836');
});
