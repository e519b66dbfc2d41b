import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { errorCode, messageOf } from '../failure.js';

/** PEM texts of one TLS identity. */
export interface TlsFiles {
  ca: string;
  cert: string;
  key: string;
}

/** Where the PEM files of one TLS identity are. */
export interface TlsPaths {
  ca: string;
  cert: string;
  key: string;
}

/** @throws Error that names the files, if one can't be read or they can't be used together. */
export function readTlsFiles(paths: TlsPaths): TlsFiles {
  const files = { ca: readPem(paths.ca), cert: readPem(paths.cert), key: readPem(paths.key) };
  try {
    // A client's identity is used first when it calls: by then nobody looks for a wrong file.
    createSecureContext(files);
  } catch (error) {
    const code = errorCode(error) ?? messageOf(error);
    throw new Error(
      `can't use the TLS files ${paths.cert} and ${paths.key} (${code}): ` +
        'certificate and key must belong together',
      { cause: error },
    );
  }
  return files;
}

function readPem(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = errorCode(error) ?? 'unreadable';
    throw new Error(`can't read the TLS file ${path} (${code})`, { cause: error });
  }
  if (!text.includes('-----BEGIN ')) throw new Error(`${path} is not a PEM file`);
  return text;
}
