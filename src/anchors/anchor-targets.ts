import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/** Storage that the service does not control. */
export interface AnchorTarget {
  readonly name: 'file' | 'url';
  /** Resolves when the target has stored the note durably. */
  deliver(note: string, signal: AbortSignal): Promise<void>;
}

const { O_APPEND, O_CREAT, O_WRONLY } = constants;
/** Without `O_NONBLOCK`, opening a named pipe waits forever for a reader. Windows does not have the flag. */
const APPEND = O_WRONLY | O_APPEND | O_CREAT | (process.platform === 'win32' ? 0 : constants.O_NONBLOCK);

/**
 * Appends notes to a file, for storage where written data cannot be changed (WORM). A note that could not be written
 * whole is removed, so that the file holds only whole notes.
 */
export class AnchorFile implements AnchorTarget {
  readonly name = 'file';

  constructor(private readonly path: string) {}

  async deliver(note: string): Promise<void> {
    const file = await open(this.path, APPEND, 0o640);
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

/** Posts notes to a URL. A status from 200 to 299 says that the receiver has stored the note. */
export class AnchorUrl implements AnchorTarget {
  readonly name = 'url';

  constructor(private readonly url: string) {}

  async deliver(note: string, signal: AbortSignal): Promise<void> {
    const answer = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: note,
      redirect: 'error',
      signal,
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`the receiver answered ${String(answer.status)}`);
  }
}
