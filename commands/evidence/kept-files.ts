import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatTable } from './part.js';

/** A file that somebody kept, such as a report of the daily review or the output of a rehearsal. */
export interface KeptFile {
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly modified: string;
}

/** Lists the files of a directory, by name. @throws Error if it cannot be read */
export function listKept(directory: string): KeptFile[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .sort()
    .filter((file) => statSync(join(directory, file)).isFile())
    .map((file) => describeFile(join(directory, file), file));
}

export function describeFile(path: string, file = path): KeptFile {
  const content = readFileSync(path);
  return {
    file,
    sha256: createHash('sha256').update(content).digest('hex'),
    bytes: content.length,
    modified: statSync(path).mtime.toISOString(),
  };
}

export function formatKept(kept: readonly KeptFile[]): string[] {
  return formatTable(
    ['file', 'SHA-256', 'last changed'],
    kept.map(({ file, sha256, modified }) => [file, sha256, modified]),
  );
}
