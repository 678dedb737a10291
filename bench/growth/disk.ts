import { statfsSync } from 'node:fs';

/** Bytes that a credential and an audit event take together, with user, leaf and indexes; as measured, and a tenth more. */
const BYTES_PER_ROW = 3_600;
/** For WAL, sorting and what is written while it is measured. */
const BYTES_BESIDE = 8 * 2 ** 30;

/** @throws Error when what is to be loaded has no room beside what there is */
export function demandRoom(directory: string, sizes: readonly number[]): void {
  const { bavail, bsize } = statfsSync(directory);
  const needed = sizes.reduce((sum, size) => sum + size * BYTES_PER_ROW, BYTES_BESIDE);
  const free = bavail * bsize;
  if (free >= needed) return;
  const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(0)} GiB`;
  throw new Error(
    `${directory} has ${gibibytes(free)} free, and these sizes need about ${gibibytes(needed)}: name smaller ones by --sizes, or another disk by TMPDIR`,
  );
}
