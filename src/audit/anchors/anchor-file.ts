import { open } from 'node:fs/promises';
import type { AnchorTarget } from './anchor.js';

/**
 * Appends notes to a file, for storage that lets nobody change what was written (WORM). A note that could not be written
 * whole is taken back, so that the file stays one of whole notes.
 */
export class AnchorFile implements AnchorTarget {
  readonly name = 'file';

  constructor(private readonly path: string) {}

  async deliver(note: string): Promise<void> {
    const file = await open(this.path, 'a', 0o640);
    try {
      const { size } = await file.stat();
      try {
        await file.writeFile(`${note}\n`);
        await file.sync();
      } catch (error) {
        await file.truncate(size).catch(() => undefined);
        throw error;
      }
    } finally {
      await file.close();
    }
  }
}
