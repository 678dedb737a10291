import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { loadBuiltKeys } from '../built-keys.js';

const { addKey, KeyFileError, listKeyIds, listKeys, moveKeyFirst, removeKey, retire } = await loadBuiltKeys();

/** The file of the binding keys holds no more. */
const MAX_KEYS = 8;
const PATIENCE_MS = 300_000;

/**
 * Replaces the binding key again and again, a step at each start of the service after a crash: adds a key, makes it the
 * first, and retires the one before as soon as no row needs it.
 */
export class KeyRotation {
  /** The number of keys that became the first, and that were retired. */
  readonly counts = { first: 0, retired: 0 };
  private readonly file: string;
  private readonly dataSource: DataSource;
  private added: string | undefined;

  private constructor(file: string, dataSource: DataSource) {
    this.file = file;
    this.dataSource = dataSource;
  }

  static async open(dataDir: string, ownerUrl: string): Promise<KeyRotation> {
    const dataSource = new DataSource({ type: 'postgres', url: ownerUrl });
    return new KeyRotation(join(dataDir, 'binding.key'), await dataSource.initialize());
  }

  /** Takes the next step. The service is not running. */
  async advance(): Promise<void> {
    if (this.added !== undefined) {
      moveKeyFirst(this.file, this.added);
      this.counts.first += 1;
      this.added = undefined;
    } else if (!(await this.retireOne()) && listKeyIds(this.file).length < MAX_KEYS) this.added = addKey(this.file);
  }

  /** Waits until the running service has sealed every row with the first key, and retires all others. */
  async finish(): Promise<void> {
    // A key that was added last and never sealed goes, too.
    this.added = undefined;
    const deadline = performance.now() + PATIENCE_MS;
    while (listKeyIds(this.file).length > 1) {
      if (await this.retireOne()) continue;
      if (performance.now() > deadline) throw new Error('rows still need an old key after five minutes');
      await sleep(1_000);
    }
  }

  async close(): Promise<void> {
    await this.dataSource.destroy();
  }

  /** @returns false: rows need every key that is not the first */
  private async retireOne(): Promise<boolean> {
    const known = await listKeys(this.dataSource);
    for (const id of listKeyIds(this.file)
      .slice(1)
      .filter((each) => each !== this.added)) {
      // A key that no service has seen yet is not in the table.
      if (!known.some((key) => key.id === id)) continue;
      try {
        await retire(this.dataSource, id, () => Promise.resolve());
      } catch (error) {
        if (error instanceof KeyFileError) continue;
        throw error;
      }
      removeKey(this.file, id);
      this.counts.retired += 1;
      return true;
    }
    return false;
  }
}
