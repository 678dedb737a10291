import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type SignedCheckpoint, signCheckpoint } from '../../src/tlog/checkpoint.js';
import { KeyHistory } from '../../src/tlog/key-history.js';
import type { LogSigner, VerifierKey } from '../../src/tlog/keys.js';
import { NoteError } from '../../src/tlog/signed-note.js';

/*
 * What makes a directory of evidence verifiable:
 *
 *  - SHA256SUMS lists every other file with its SHA-256, as `sha256sum --check` reads it.
 *  - SHA256SUMS.note is a C2SP note about that list, in the form of a checkpoint (tlog-checkpoint): its size is the number of
 *    files, and the SHA-256 of the list takes the place of the root. So every key of the audit log signs it as it signs
 *    checkpoints. The origin has a space, which no name of a log has.
 */

export const SUMS = 'SHA256SUMS';
export const NOTE = 'SHA256SUMS.note';
/** What follows the name of the log in the origin of the note. */
const ABOUT = ' evidence';

/** A line of the list. The names are those that this program gives: no folder, no space, no leading dot. */
const LINE = /^([0-9a-f]{64}) {2}([A-Za-z0-9][A-Za-z0-9.-]*)$/;

/** Everything that does not hold, one sentence each. */
export class IndexError extends Error {
  override readonly name = 'IndexError';
  constructor(readonly findings: readonly string[]) {
    super(findings.join('\n'));
  }
}

/** The keys of a log over time, as `KeyHistory` takes them. */
export interface KeysOverTime {
  readonly keys: readonly VerifierKey[];
  readonly former: readonly (readonly VerifierKey[])[];
}

export interface VerifiedIndex {
  readonly files: readonly string[];
  readonly signed: SignedCheckpoint;
}

/** Lists the files of a directory in it, and signs the list. */
export async function signDirectory(
  directory: string,
  { origin, signers }: { origin: string; signers: readonly LogSigner[] },
  now: Date,
): Promise<void> {
  const files = readdirSync(directory).sort();
  const lines: string[] = [];
  for (const file of files) lines.push(`${(await digestFile(join(directory, file))).toString('hex')}  ${file}\n`);
  const sums = lines.join('');
  const root = createHash('sha256').update(sums).digest();
  const note = await signCheckpoint(
    { origin: `${origin}${ABOUT}`, size: files.length, root, extensions: [] },
    signers,
    now,
  );
  writeFileSync(join(directory, SUMS), sums);
  writeFileSync(join(directory, NOTE), note);
}

/**
 * Verifies a directory without trust in it: the keys come from elsewhere.
 *
 * @throws IndexError that names everything that is altered, missing or added, or why the list does not verify; Error if it is no
 *   directory
 */
export async function verifyDirectory(directory: string, { keys, former }: KeysOverTime): Promise<VerifiedIndex> {
  if (!lstatSync(directory, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`${directory} is not a directory`);
  const [note, sums] = [NOTE, SUMS].map((file) => readIndexFile(directory, file)) as [string, string];
  const signed = openNote(new KeyHistory(keys, former), note);
  if (!createHash('sha256').update(sums, 'latin1').digest().equals(signed.root)) {
    throw new IndexError([`${SUMS} is not the list that the note signs`]);
  }
  const listed = parseSums(sums);
  if (listed.size !== signed.size) throw new IndexError([`${SUMS} lists another number of files than the note says`]);
  const findings: string[] = [];
  for (const [file, digest] of listed) findings.push(...(await compareFile(directory, file, digest)));
  for (const file of readdirSync(directory).sort()) {
    if (!listed.has(file) && file !== SUMS && file !== NOTE) findings.push(`${file} was added: the list lacks it`);
  }
  if (findings.length > 0) throw new IndexError(findings);
  return { files: [...listed.keys()], signed };
}

async function compareFile(directory: string, file: string, digest: string): Promise<string[]> {
  const stat = lstatSync(join(directory, file), { throwIfNoEntry: false });
  if (!stat) return [`${file} is missing`];
  if (!stat.isFile()) return [`${file} is not a file`];
  const found = (await digestFile(join(directory, file))).toString('hex');
  return found === digest ? [] : [`${file} was altered: its SHA-256 is ${found}, and the list says ${digest}`];
}

/** @throws IndexError */
function readIndexFile(directory: string, file: string): string {
  const path = join(directory, file);
  if (!lstatSync(path, { throwIfNoEntry: false })?.isFile()) throw new IndexError([`${file} is missing`]);
  return readFileSync(path, file === NOTE ? 'utf8' : 'latin1');
}

/** @throws IndexError */
function openNote(history: KeyHistory, note: string): SignedCheckpoint {
  try {
    return history.open(note, ABOUT);
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    throw new IndexError([`${NOTE} does not verify: ${error.message.replace('the checkpoint', 'the note')}`]);
  }
}

/** @throws IndexError */
function parseSums(sums: string): Map<string, string> {
  const listed = new Map<string, string>();
  for (const line of sums.split('\n').slice(0, -1)) {
    const [, digest, file] = LINE.exec(line) ?? [];
    if (digest === undefined || file === undefined || listed.has(file))
      throw new IndexError([`${SUMS} has a line that is not a digest and a file`]);
    listed.set(file, digest);
  }
  return listed;
}

async function digestFile(path: string): Promise<Buffer> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest();
}
