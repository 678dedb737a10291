import { open } from 'node:fs/promises';

/**
 * A file's content, whole.
 *
 * @throws the file system's error; an Error when it is no file, or has more than `maxBytes`
 */
export async function readBounded(path: string, maxBytes: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const stats = await file.stat();
    if (stats.size > maxBytes) throw new Error(`is larger than ${String(maxBytes)} bytes`);
    if (!stats.isFile()) throw new Error('is no file');
    return await file.readFile();
  } finally {
    await file.close();
  }
}
