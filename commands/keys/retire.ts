import type { DataSource } from 'typeorm';
import { KeyFileError } from './key-file.js';
import {
  announceRetirement,
  cancelRetirement,
  countRows,
  endRetirement,
  findKeyInUse,
  listRegistered,
  nameRows,
} from './key-table.js';

/** Replicas look every ten seconds which keys are retired. After this long none seals with the key any more. */
export const STOP_MS = 60_000;

/** The retirement of a key although rows need it. */
export interface Force {
  /** The request that a second identity has approved; undefined: the access policy asks for none. */
  readonly approvalId: string | undefined;
  /** Gets the name of each row that counts no longer, before the key is retired. */
  readonly show: (name: string) => void;
}

/**
 * Retires a key: replicas stop to seal with it, then the rows are counted again, and only then its seals stop to count.
 *
 * @param wait waits until no replica seals with the key
 * @throws KeyFileError if a row needs the key; then nothing has changed
 */
export async function retire(dataSource: DataSource, id: string, wait: () => Promise<unknown>): Promise<void> {
  await demandRetirable(dataSource, id);
  await demandUnneeded(dataSource, id);
  await stopSeals(dataSource, id, async () => {
    await wait();
    await demandUnneeded(dataSource, id);
    await dataSource.transaction((manager) => endRetirement(manager, id, new Date(), { type: 'seal-key.retire' }));
  });
}

/**
 * Retires a key although rows need it. They are refused from then on as rows that something else changed.
 *
 * @returns the number of these rows
 * @throws KeyFileError if the key cannot be retired; then nothing has changed
 */
export async function forceRetire(
  dataSource: DataSource,
  id: string,
  wait: () => Promise<unknown>,
  { approvalId, show }: Force,
): Promise<number> {
  await demandRetirable(dataSource, id);
  const shown = new Set(await nameRows(dataSource, id));
  for (const name of shown) show(name);
  return stopSeals(dataSource, id, async () => {
    await wait();
    return dataSource.transaction(async (manager) => {
      const names = await nameRows(manager, id);
      for (const name of names) if (!shown.has(name)) show(name);
      const facts = { rows: names.length };
      await endRetirement(manager, id, new Date(), { type: 'seal-key.force-retire', approvalId, facts });
      return names.length;
    });
  });
}

async function stopSeals<Result>(dataSource: DataSource, id: string, end: () => Promise<Result>): Promise<Result> {
  await announceRetirement(dataSource, id);
  try {
    return await end();
  } catch (error) {
    await cancelRetirement(dataSource, id);
    throw error;
  }
}

/**
 * A replica that does not have the next key could seal nothing any more, so the service must run with that key first.
 *
 * @throws KeyFileError if the database does not name the key, or it is retired, or it is the one in use
 */
export async function demandRetirable(dataSource: DataSource, id: string): Promise<void> {
  const keys = await listRegistered(dataSource);
  const key = keys.find((each) => each.id === id);
  if (!key) throw new KeyFileError(`No service has registered the key ${id}: compare it with "status".`);
  if (key.retiredAt && key.retiredAt <= new Date()) throw new KeyFileError(`The key ${id} is retired already.`);
  const inUse = await findKeyInUse(dataSource);
  if (inUse !== undefined && inUse !== id && keys.every((each) => each.id !== inUse || !each.retiredAt)) return;
  throw new KeyFileError(
    `The key ${id} cannot be retired: no service seals with another key yet. Restart the replicas with the new file first.`,
  );
}

async function demandUnneeded(dataSource: DataSource, id: string): Promise<void> {
  const rows = await countRows(dataSource, id);
  const needed = Object.entries(rows).filter(([, count]) => count > 0);
  if (needed.length === 0) return;
  const text = needed.map(([table, count]) => `${String(count)} × ${table}`).join(', ');
  throw new KeyFileError(`The key ${id} cannot be retired: it has sealed rows (${text}).`);
}
