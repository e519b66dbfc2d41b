import { createRequire } from 'node:module';

/** A program of `packages/native` as a file; undefined where it was not built (no compiler, no OpenSSL). */
export function nativeProgram(name: string): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(`@fenceline/native/${name}`);
  } catch {
    return undefined;
  }
}
