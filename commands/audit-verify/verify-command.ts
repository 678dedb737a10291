import { createReadStream, readFileSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readNotes } from '../../src/tlog/checkpoint-trail.js';
import { parseConsistency } from '../../src/tlog/proof-documents.js';
import { parseVerifierKeys, type VerifierKey } from '../../src/tlog/keys.js';
import type { VerifyOptions } from '../../src/tlog/export-verifier.js';

export const USAGE = `usage: npm run audit:verify -- EXPORT|- --key FILE [--since CHECKPOINT [--consistency PROOF]] [--checkpoints NOTES] [--retained-since RFC3339]
       npm run audit:verify -- EVENT|- --key FILE --proof PROOF`;
const CHUNK_BYTES = 2 ** 20;

export interface VerifyCommand {
  /** The file of an export or an event; `-` for standard input. */
  readonly path: string;
  readonly keys: readonly VerifierKey[];
  /** The file of the event's proof; undefined for an export. */
  readonly proof: string | undefined;
  readonly options: VerifyOptions;
}

/** @throws Error that says which part of the command is wrong */
export function readVerifyCommand(args: string[]): VerifyCommand {
  const text = { type: 'string' } as const;
  const known = { key: text, proof: text, since: text, consistency: text, checkpoints: text, 'retained-since': text };
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: known });
  const { key, proof, since, consistency, checkpoints, 'retained-since': retained } = values;
  const [path, ...rest] = positionals;
  if (path === undefined || rest.length > 0 || key === undefined)
    throw new Error('give one EXPORT or EVENT and a --key');
  if (proof !== undefined && Object.keys(values).length > 2) throw new Error('--proof allows only an EVENT and --key');
  if (consistency !== undefined && since === undefined) throw new Error('--consistency requires --since');
  const retainedSince = retained === undefined ? undefined : new Date(retained);
  if (Number.isNaN(retainedSince?.getTime())) throw new Error('--retained-since is not a time');
  const options: VerifyOptions = {
    retainedSince,
    since: since === undefined ? undefined : readFileSync(since, 'utf8'),
    consistency: consistency === undefined ? undefined : parseConsistency(readFileSync(consistency, 'utf8')),
    anchored: checkpoints === undefined ? undefined : readNotes(openInput(checkpoints)),
  };
  return { path, keys: parseVerifierKeys(readFileSync(key, 'utf8')), proof, options };
}

export function openInput(path: string): AsyncIterable<Buffer> {
  if (path === '-') return process.stdin;
  statSync(path);
  return createReadStream(path, { highWaterMark: CHUNK_BYTES });
}
