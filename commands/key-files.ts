import { readFileSync } from 'node:fs';
import { parseVerifierKeys, type VerifierKey } from '../src/tlog/keys.js';

/** The keys of a log over time, as `KeyHistory` takes them. */
export interface KeyFiles {
  readonly keys: readonly VerifierKey[];
  readonly former: readonly (readonly VerifierKey[])[];
}

/** The help of `--key`. */
export const KEY_TEXT =
  'The verifier keys, one a line (GET /v1/audit/key). Every one of them must have signed. If the keys were changed, give the option once for each file, the oldest first: every key of one file must have signed a checkpoint, and former keys no longer count once new keys alone have signed.';

/** Reads the files of `--key`, the oldest first. @throws Error that names the file */
export function readKeyFiles(paths: readonly string[]): KeyFiles {
  const times = paths.map((path) => {
    const text = readFileSync(path, 'utf8');
    try {
      return parseVerifierKeys(text);
    } catch (error) {
      throw new Error(`--key ${path}: ${(error as Error).message}`, { cause: error });
    }
  });
  return { keys: times.at(-1) ?? [], former: times.slice(0, -1) };
}
