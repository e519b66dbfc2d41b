import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { LabError, messageOf } from '../labError.js';
import { headSector, sectorBytes } from './format.js';

/**
 * The bytes of an image at one moment, also while a guest writes to it: read again until the head
 * did not move meanwhile.
 * @throws LabError if it cannot be read, or moves faster than it can be read.
 */
export function readImage(file: string): Buffer {
  for (let tries = 0; tries < 20; tries++) {
    try {
      const before = readHead(file);
      const image = readFileSync(file);
      if (before.equals(readHead(file))) return image;
    } catch (error) {
      throw new LabError(`The disk ${file} cannot be read: ${messageOf(error)}`);
    }
  }
  throw new LabError(`The disk ${file} changes faster than it can be read.`);
}

function readHead(file: string): Buffer {
  const fd = openSync(file, 'r');
  try {
    const head = Buffer.alloc(sectorBytes);
    readSync(fd, head, 0, sectorBytes, headSector * sectorBytes);
    return head;
  } finally {
    closeSync(fd);
  }
}
