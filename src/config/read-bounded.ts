import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Without `O_NONBLOCK`, opening a named pipe blocks until something writes to it. Windows does not have the flag. */
const READ = constants.O_RDONLY | (process.platform === 'win32' ? 0 : constants.O_NONBLOCK);

interface DatedContent {
  readonly bytes: Buffer;
  readonly writtenAt: Date;
}

/**
 * Reads a whole file.
 *
 * @throws the file system's error; an Error if the path does not name a regular file, or the file has more than
 * `maxBytes`
 */
export async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  return (await readBoundedWithDate(path, maxBytes)).bytes;
}

/** Reads a file like `readBounded`, and also returns the time of its last change. */
export async function readBoundedWithDate(path: string, maxBytes: number): Promise<DatedContent> {
  const file = await open(path, READ);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('is not a file');
    if (stats.size > maxBytes) throw new Error(`is larger than ${String(maxBytes)} bytes`);
    return { bytes: await file.readFile(), writtenAt: stats.mtime };
  } finally {
    await file.close();
  }
}
