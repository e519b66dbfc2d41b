import { X509Certificate } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { makeTestCa } from './testCertificates.js';

test('a test certificate is signed by its CA, for its names and role', () => {
  const ca = makeTestCa();
  const issued = ca.issue({ name: 'h1', role: 'sibling', hosts: ['h1.example', '127.0.0.1'] });
  const certificate = new X509Certificate(issued.cert);
  const authority = new X509Certificate(ca.ca);
  expect(certificate.verify(authority.publicKey)).toBe(true);
  expect(certificate.checkIssued(authority)).toBe(true);
  expect(certificate.subject).toBe('OU=sibling\nCN=h1');
  expect(certificate.checkHost('h1.example')).toBe('h1.example');
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
  expect(certificate.checkHost('other.example')).toBeUndefined();
  expect(authority.ca).toBe(true);
});
