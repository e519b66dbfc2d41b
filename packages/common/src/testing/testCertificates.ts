import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';
import type { TlsFiles } from '../adapters/tls.js';

/** Whom a test certificate speaks for. */
export interface TestSubject {
  /** CN */
  name: string;
  /** OU: the caller's role. */
  role?: string;
  /** DNS names and IPv4 addresses; default `localhost` and `127.0.0.1`. */
  hosts?: readonly string[];
}

/** A certificate authority that lives in one test: no program, no file, no key in the repository. */
export interface TestCa {
  /** PEM of its own certificate. */
  readonly ca: string;
  issue(subject: TestSubject): TlsFiles;
}

export function makeTestCa(name = 'test CA'): TestCa {
  const keys = generateKeyPairSync('ed25519');
  const subject = { name };
  const own = certificate({ subject, issuer: subject, keys, signer: keys.privateKey, isCa: true });
  return {
    ca: own,
    issue: (wish) => {
      const leaf = generateKeyPairSync('ed25519');
      const signer = keys.privateKey;
      return {
        ca: own,
        cert: certificate({ subject: wish, issuer: subject, keys: leaf, signer, isCa: false }),
        key: String(leaf.privateKey.export({ type: 'pkcs8', format: 'pem' })),
      };
    },
  };
}

interface Wish {
  subject: TestSubject;
  issuer: TestSubject;
  keys: { publicKey: KeyObject };
  signer: KeyObject;
  isCa: boolean;
}

const ED25519 = oid([43, 101, 112]);
let serial = 0;

function certificate({ subject, issuer, keys, signer, isCa }: Wish): string {
  serial += 1;
  const body = sequence(
    tagged(0xa0, integer(2)),
    integer(1_000 + serial),
    sequence(ED25519),
    distinguishedName(issuer),
    sequence(time('20200101000000Z'), time('20990101000000Z')),
    distinguishedName(subject),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(constraints(isCa), alternativeNames(subject))),
  );
  const der = sequence(body, sequence(ED25519), bitString(sign(null, body, signer)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

function distinguishedName({ name, role }: TestSubject): Buffer {
  const part = (attribute: number, text: string): Buffer =>
    tagged(0x31, sequence(oid([85, 4, attribute]), tagged(0x0c, Buffer.from(text))));
  return sequence(...(role === undefined ? [] : [part(11, role)]), part(3, name));
}

function constraints(isCa: boolean): Buffer {
  const critical = tagged(0x01, Buffer.from([0xff]));
  const value = sequence(...(isCa ? [tagged(0x01, Buffer.from([0xff]))] : []));
  return sequence(oid([85, 29, 19]), critical, tagged(0x04, value));
}

function alternativeNames({ hosts = ['localhost', '127.0.0.1'] }: TestSubject): Buffer {
  const names = hosts.map((host) =>
    isIPv4(host)
      ? tagged(0x87, Buffer.from(host.split('.').map(Number)))
      : tagged(0x82, Buffer.from(host)),
  );
  return sequence(oid([85, 29, 17]), tagged(0x04, sequence(...names)));
}

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, Buffer.concat(parts));
}

function integer(value: number): Buffer {
  return tagged(0x02, Buffer.from(value < 0x80 ? [value] : [value >> 8, value & 0xff]));
}

function oid(bytes: readonly number[]): Buffer {
  return tagged(0x06, Buffer.from(bytes));
}

function time(text: string): Buffer {
  return tagged(0x18, Buffer.from(text));
}

function bitString(bytes: Buffer): Buffer {
  return tagged(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}
