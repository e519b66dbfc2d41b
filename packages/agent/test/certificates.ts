import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A certificate authority for one test, made by openssl in a directory of that test. */
export function makeAuthority(dir: string): Authority {
  const key = join(dir, 'ca.key');
  const ca = join(dir, 'ca.pem');
  openssl([
    'req',
    '-x509',
    ...NEW_KEY,
    '-keyout',
    key,
    '-out',
    ca,
    '-days',
    '1',
    '-subj',
    '/CN=test',
  ]);
  return {
    ca,
    issue: (name, role) => {
      const [own, request, cert] = ['key', 'csr', 'pem'].map((end) => join(dir, `${name}.${end}`));
      if (own === undefined || request === undefined || cert === undefined)
        throw new Error('paths');
      openssl([
        'req',
        ...NEW_KEY,
        '-keyout',
        own,
        '-out',
        request,
        '-subj',
        `/OU=${role}/CN=${name}`,
      ]);
      const extensions = join(dir, 'san');
      writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
      openssl([
        'x509',
        '-req',
        '-in',
        request,
        '-CA',
        ca,
        '-CAkey',
        key,
        '-CAcreateserial',
        '-days',
        '1',
        '-extfile',
        extensions,
        '-out',
        cert,
      ]);
      return { ca, cert, key: own };
    },
  };
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export interface Authority {
  readonly ca: string;
  /** Paths of a new identity for 127.0.0.1 with this role (OU) and name (CN). */
  issue(name: string, role: string): { ca: string; cert: string; key: string };
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', [...args], { stdio: ['ignore', 'ignore', 'pipe'] });
}
