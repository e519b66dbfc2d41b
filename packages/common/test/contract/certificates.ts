import type { TlsFiles } from '../../src/index.js';
import { makeTestCa } from '../../src/testing/index.js';

interface Subject {
  /** The role, as `identifyByCertificate` reads it. */
  unit: string;
  name: string;
  /** Which authority signs it; the holder trusts ours in any case. */
  authority?: 'ours' | 'foreign';
  address?: string;
}

/** Certificates of one authority that all trust, and of another that nobody does. */
export class Certificates {
  readonly #ours = makeTestCa('ours');
  readonly #foreign = makeTestCa('foreign');

  issue({ unit, name, authority = 'ours', address = '127.0.0.1' }: Subject): TlsFiles {
    const signer = authority === 'ours' ? this.#ours : this.#foreign;
    return { ...signer.issue({ name, role: unit, hosts: [address] }), ca: this.#ours.ca };
  }
}
