import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { mustRun } from '../run.js';

/** What a certificate says of its bearer: the role decides which routes it may call. */
export interface Subject {
  /** `server` may call everything an agent offers, `sibling` what a sibling needs; else none. */
  readonly role: 'server' | 'sibling' | 'api';
  readonly name: string;
  /** IP addresses at which the bearer is dialled. */
  readonly addresses: readonly string[];
}

/** PEM texts. */
export interface Identity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const DAYS = '30';

/** The lab's certificate authority: a folder with its key, made anew for each lab. */
export class Authority {
  private constructor(private readonly dir: string) {}

  /** @throws LabError if openssl can't be run. */
  static async make(dir: string): Promise<Authority> {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const authority = new Authority(dir);
    await authority.openssl([
      'req',
      ...['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-days', DAYS, '-subj', '/O=Fenceline lab/CN=Fenceline lab CA'],
      ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
      ...['-keyout', authority.file('ca.key'), '-out', authority.file('ca.pem')],
    ]);
    return authority;
  }

  /** A key and a certificate for one bearer. */
  async issue({ role, name, addresses }: Subject): Promise<Identity> {
    const at = (ending: string): string => this.file(`${role}-${name}.${ending}`);
    const names = addresses.map((address) => `IP:${address}`).join(',');
    writeFileSync(
      at('ext'),
      [
        `subjectAltName=${names === '' ? `DNS:${name}` : names}`,
        'keyUsage=critical,digitalSignature',
        'extendedKeyUsage=serverAuth,clientAuth',
      ].join('\n'),
    );
    await this.openssl([
      ...['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-subj', `/O=Fenceline lab/OU=${role}/CN=${name}`],
      ...['-keyout', at('key'), '-out', at('csr')],
    ]);
    await this.openssl([
      ...['x509', '-req', '-in', at('csr'), '-days', DAYS, '-extfile', at('ext')],
      ...['-CA', this.file('ca.pem'), '-CAkey', this.file('ca.key')],
      // Its own number: a serial file would be shared by certificates that are made at once.
      ...['-set_serial', `0x${randomBytes(8).toString('hex')}`, '-out', at('pem')],
    ]);
    return {
      ca: readFileSync(this.file('ca.pem'), 'utf8'),
      cert: readFileSync(at('pem'), 'utf8'),
      key: readFileSync(at('key'), 'utf8'),
    };
  }

  private file(name: string): string {
    return path.join(this.dir, name);
  }

  private openssl(args: readonly string[]): Promise<string> {
    return mustRun(['openssl', ...args]);
  }
}
