import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsFiles } from '../../src/index.js';

const REQUEST = '[req]\ndistinguished_name = dn\n[dn]\n';
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

interface Subject {
  /** The role, as `identifyByCertificate` reads it. */
  unit: string;
  name: string;
  /** Which authority signs it. */
  authority?: 'ours' | 'foreign';
  address?: string;
}

/** A certificate authority in a temporary folder, made with openssl. */
export class Certificates {
  readonly #dir = mkdtempSync(join(tmpdir(), 'fenceline-ca-'));
  #count = 0;

  constructor() {
    writeFileSync(join(this.#dir, 'req.cnf'), REQUEST);
    for (const name of ['ours', 'foreign'])
      this.#openssl(name, `/CN=${name}`, ['-addext', 'basicConstraints=critical,CA:TRUE']);
  }

  issue({ unit, name, authority = 'ours', address = '127.0.0.1' }: Subject): TlsFiles {
    this.#count += 1;
    const file = `leaf${this.#count}`;
    const signer = [
      '-CA',
      this.#path(`${authority}.crt`),
      '-CAkey',
      this.#path(`${authority}.key`),
    ];
    const names = ['-addext', `subjectAltName=IP:${address}`];
    this.#openssl(file, `/OU=${unit}/CN=${name}`, [...signer, ...names]);
    return {
      ca: this.#read('ours.crt'),
      cert: this.#read(`${file}.crt`),
      key: this.#read(`${file}.key`),
    };
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true });
  }

  #openssl(file: string, subject: string, more: string[]): void {
    const out = ['-keyout', this.#path(`${file}.key`), '-out', this.#path(`${file}.crt`)];
    const common = ['req', '-x509', '-config', this.#path('req.cnf'), '-days', '2', ...NEW_KEY];
    execFileSync('openssl', [...common, '-subj', subject, ...out, ...more], {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: 20_000,
    });
  }

  #path(file: string): string {
    return join(this.#dir, file);
  }

  #read(file: string): string {
    return readFileSync(this.#path(file), 'utf8');
  }
}
