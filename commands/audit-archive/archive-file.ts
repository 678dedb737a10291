import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeDirectory } from '../../src/config/make-directory.js';
import { formatVerifierKey, type VerifierKey } from '../../src/tlog/keys.js';
import { type ProvedExport, verifyExport } from '../../src/tlog/export-verifier.js';
import type { LeafRange } from '../../src/audit-log/log.repository.js';
import { ArchiveError } from './closed-partitions.js';

/** The result of verifying an archive file, and the digest of the file. */
export interface VerifiedFile {
  readonly proved: ProvedExport;
  /** SHA-256 of the file. */
  readonly digest: Buffer;
}

const CHUNK_BYTES = 2 ** 20;
/** Upper bound for the last line of an export, which has at most 128 hashes and a checkpoint. */
const PROOF_BYTES = 2 ** 16;

export async function isExistingFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/**
 * Writes a file whole or not at all: it gets its name when its bytes are on the disk.
 *
 * @param check checks the written file before it gets its name
 */
export async function writeFileAtomically(
  path: string,
  content: AsyncIterable<Buffer> | string,
  check?: (path: string) => Promise<void>,
): Promise<void> {
  makeDirectory(dirname(path), 0o700);
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
 * Verifies an archive file on the disk.
 *
 * @param since earliest time of its first event; no event from this time on may be missing
 * @throws ExportError if the file does not verify, ArchiveError if it has other leaves
 */
export async function verifyFile(
  path: string,
  keys: readonly VerifierKey[],
  range: LeafRange,
  since: Date,
  onProgress?: (bytes: number, lines: number) => void,
): Promise<VerifiedFile> {
  const digest = createHash('sha256');
  const chunks = hashChunks(createReadStream(path, { highWaterMark: CHUNK_BYTES }), digest);
  const proved = await verifyExport(chunks, keys, { retainedSince: since, onProgress });
  if (proved.from !== range.from || proved.to !== range.to) {
    const [has, needs] = [proved, range].map(({ from, to }) => `[${String(from)}, ${String(to)})`) as [string, string];
    throw new ArchiveError(`${path} has the leaves ${has}, not ${needs}: move it away`);
  }
  return { proved, digest: digest.digest() };
}

/** Writes what a verifier of the file needs beside it: its checkpoint and the public keys. */
export async function writeEvidence(path: string, keys: readonly VerifierKey[]): Promise<void> {
  const stem = path.replace(/\.ndjson$/, '');
  await writeFileAtomically(`${stem}.checkpoint`, await readCheckpoint(path));
  await writeFileAtomically(`${stem}.pub`, keys.map((key) => `${formatVerifierKey(key)}\n`).join(''));
}

/** Reads the checkpoint in the last line. */
async function readCheckpoint(path: string): Promise<string> {
  const { size } = await stat(path);
  const stream = createReadStream(path, { start: Math.max(0, size - PROOF_BYTES), encoding: 'utf8' });
  const lines = (await stream.toArray()).join('').trimEnd().split('\n');
  return (JSON.parse(lines.at(-1)!) as { checkpoint: string }).checkpoint;
}

async function* hashChunks(chunks: AsyncIterable<Buffer>, digest: Hash): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    digest.update(chunk);
    yield chunk;
  }
}

/** Ensures that a name survives a power cut. Windows has no such call, and cannot open a directory. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
