import { readFileSync } from 'node:fs';
import { errorCode } from '../failure.js';

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

/** @throws Error that names the file, if one can't be read or holds no PEM. */
export function readTlsFiles(paths: TlsPaths): TlsFiles {
  return { ca: readPem(paths.ca), cert: readPem(paths.cert), key: readPem(paths.key) };
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
