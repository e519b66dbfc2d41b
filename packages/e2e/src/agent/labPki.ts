import { mkdirSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';

/** PEM files of one TLS identity. */
export interface Identity {
  ca: string;
  cert: string;
  key: string;
}

/** A certificate authority of a lab, made by openssl. */
export interface LabPki {
  /** A new identity with this name (CN), role (OU) and address. */
  issue(who: { name: string; role: 'server' | 'sibling'; address: string }): Identity;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** @param dir is made; every node of the lab must see it. */
export function makeLabPki(dir: string): LabPki {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const at = (name: string): string => path.join(dir, name);
  const ca = at('ca.pem');
  const self = ['-x509', '-days', '2', '-subj', '/CN=lab'];
  openssl(['req', ...NEW_KEY, ...self, '-keyout', at('ca.key'), '-out', ca]);
  return {
    issue: ({ name, role, address }) => {
      const [cert, key, csr, san] = [`${name}.pem`, `${name}.key`, `${name}.csr`, 'san'].map(at);
      if (!cert || !key || !csr || !san) throw new Error('unreachable');
      openssl(['req', ...NEW_KEY, '-subj', `/OU=${role}/CN=${name}`, '-keyout', key, '-out', csr]);
      writeFileSync(san, `subjectAltName=IP:${address}\n`);
      const signing = ['-CA', ca, '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', san];
      openssl(['x509', '-req', '-days', '2', '-in', csr, ...signing, '-out', cert]);
      return { ca, cert, key };
    },
  };
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', [...args], { stdio: ['ignore', 'ignore', 'pipe'] });
}
