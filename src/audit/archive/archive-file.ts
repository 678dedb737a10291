import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { formatVerifierKey, type VerifierKey } from '../log/verifier-key.js';
import { type ProvedExport, verifyExport } from '../log/verify-export.js';
import type { LeafRange } from '../log-lines.js';
import { ArchiveError } from './archive-error.js';

/** What a file of the archive proves, and which one it is. */
export interface ProvedFile {
  readonly proved: ProvedExport;
  /** SHA-256. */
  readonly digest: Buffer;
}

const CHUNK_BYTES = 2 ** 20;
/** More than the last line of an export, which has at most 128 hashes and a checkpoint. */
const PROOF_BYTES = 2 ** 16;

export async function exists(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** The whole file or none: it has its name when its bytes are on the disk. @param check of what was written, before */
export async function writeWhole(
  path: string,
  content: AsyncIterable<Buffer> | string,
  check?: (path: string) => Promise<void>,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.partial`;
  const file = await open(partial, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await check?.(partial);
  await rename(partial, path);
  await syncDirectory(dirname(path));
}

/**
 * Proves an archive as it lies there.
 *
 * @param since when its first event may have been: no event from then on may lack
 * @throws ExportError, ArchiveError when it is one of other leaves
 */
export async function proveFile(
  path: string,
  keys: readonly VerifierKey[],
  range: LeafRange,
  since: Date,
  onProgress?: (bytes: number, lines: number) => void,
): Promise<ProvedFile> {
  const digest = createHash('sha256');
  const chunks = hashed(createReadStream(path, { highWaterMark: CHUNK_BYTES }), digest);
  const proved = await verifyExport(chunks, keys, { retainedSince: since, onProgress });
  if (proved.from !== range.from || proved.to !== range.to) {
    const [has, needs] = [proved, range].map(({ from, to }) => `[${String(from)}, ${String(to)})`) as [string, string];
    throw new ArchiveError(`${path} has the leaves ${has}, not ${needs}: move it away`);
  }
  return { proved, digest: digest.digest() };
}

/** What the file is proved by lies beside it: its checkpoint and the public keys. */
export async function writeEvidence(path: string, keys: readonly VerifierKey[]): Promise<void> {
  const stem = path.replace(/\.ndjson$/, '');
  await writeWhole(`${stem}.checkpoint`, await checkpointOf(path));
  await writeWhole(`${stem}.pub`, keys.map((key) => `${formatVerifierKey(key)}\n`).join(''));
}

/** The note of the last line. */
async function checkpointOf(path: string): Promise<string> {
  const { size } = await stat(path);
  const stream = createReadStream(path, { start: Math.max(0, size - PROOF_BYTES), encoding: 'utf8' });
  const lines = (await stream.toArray()).join('').trimEnd().split('\n');
  return (JSON.parse(lines.at(-1)!) as { checkpoint: string }).checkpoint;
}

async function* hashed(chunks: AsyncIterable<Buffer>, digest: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    digest.update(chunk);
    yield chunk;
  }
}

/** That a name is there after a power cut. Windows has no such call, and opens no directory. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
