import { statfsSync } from 'node:fs';

/** Bytes of a credential and an audit event together, with user, leaf and indexes: the measured size plus a tenth. */
const BYTES_PER_ROW = 3_600;
/** Bytes for WAL, sorting and the writes of the measurement. */
const BYTES_BESIDE = 8 * 2 ** 30;

/** @throws Error when the disk is too small for the load */
export function demandRoom(directory: string, sizes: readonly number[]): void {
  const { bavail, bsize } = statfsSync(directory);
  const needed = sizes.reduce((sum, size) => sum + size * BYTES_PER_ROW, BYTES_BESIDE);
  const free = bavail * bsize;
  if (free >= needed) return;
  const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(0)} GiB`;
  throw new Error(
    `${directory} has ${gibibytes(free)} free, and these sizes need about ${gibibytes(needed)}: choose smaller ones by --sizes, or another disk by TMPDIR`,
  );
}
