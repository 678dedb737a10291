import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Without `O_NONBLOCK`, opening a named pipe waits for somebody who writes to it, without end. Windows does not have it. */
const READ = constants.O_RDONLY | (process.platform === 'win32' ? 0 : constants.O_NONBLOCK);

interface DatedContent {
  readonly bytes: Buffer;
  readonly writtenAt: Date;
}

/**
 * A file's content, whole.
 *
 * @throws the file system's error; an Error when it is no file, or has more than `maxBytes`
 */
export async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  return (await readDated(path, maxBytes)).bytes;
}

/** As `readBounded`, with the time at which the file was written. */
export async function readDated(path: string, maxBytes: number): Promise<DatedContent> {
  const file = await open(path, READ);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('is no file');
    if (stats.size > maxBytes) throw new Error(`is larger than ${String(maxBytes)} bytes`);
    return { bytes: await file.readFile(), writtenAt: stats.mtime };
  } finally {
    await file.close();
  }
}
