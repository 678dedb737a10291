import type { DataSource } from 'typeorm';
import { KeyFileError } from './key-file.js';
import { announceRetirement, cancelRetirement, countRows, endRetirement, listRegistered } from './key-table.js';

/** Replicas look every ten seconds which keys are retired. After this long none seals with the key any more. */
export const STOP_MS = 60_000;

/**
 * Retires a key: replicas stop to seal with it, then the rows are counted again, and only then its seals stop to count.
 *
 * @param wait waits until no replica seals with the key
 * @throws KeyFileError if a row needs the key; then nothing has changed
 */
export async function retire(dataSource: DataSource, id: string, wait: () => Promise<unknown>): Promise<void> {
  const key = (await listRegistered(dataSource)).find((each) => each.id === id);
  if (!key) throw new KeyFileError(`No service has registered the key ${id}: compare it with "status".`);
  if (key.retiredAt && key.retiredAt <= new Date()) throw new KeyFileError(`The key ${id} is retired already.`);
  await demandUnneeded(dataSource, id);
  await announceRetirement(dataSource, id);
  try {
    await wait();
    await demandUnneeded(dataSource, id);
    await endRetirement(dataSource, id, new Date());
  } catch (error) {
    await cancelRetirement(dataSource, id);
    throw error;
  }
}

async function demandUnneeded(dataSource: DataSource, id: string): Promise<void> {
  const rows = await countRows(dataSource, id);
  const needed = Object.entries(rows).filter(([, count]) => count > 0);
  if (needed.length === 0) return;
  const text = needed.map(([table, count]) => `${String(count)} × ${table}`).join(', ');
  throw new KeyFileError(`The key ${id} cannot be retired: it has sealed rows (${text}).`);
}
