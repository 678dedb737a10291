import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { deriveSealKey, readKeyLines, readMasters } from '../../src/config/secret-keys.js';

/** A key cannot be used so. The message is one sentence. */
export class KeyFileError extends Error {
  override readonly name = 'KeyFileError';
}

const KEY_BYTES = 32;
const MAX_KEYS = 8;

/** Lists the ids of the keys in the order of the file. @throws ConfigError */
export function listKeyIds(path: string): string[] {
  return readMasters(path, 'PASSKEY_BINDING_KEY_FILE').map((master) => deriveSealKey(master).id);
}

/** Adds a new random key at the end. @returns its id */
export function addKey(path: string): string {
  const ids = listKeyIds(path);
  if (ids.length === MAX_KEYS) throw new KeyFileError(`The file has ${String(MAX_KEYS)} keys: retire and remove one.`);
  const master = randomBytes(KEY_BYTES);
  writeLines(path, [...readKeyLines(path), master.toString('base64')]);
  return deriveSealKey(master).id;
}

/** Moves a key to the first line. */
export function moveKeyFirst(path: string, id: string): void {
  const [index, lines] = [demandKey(path, id), readKeyLines(path)];
  writeLines(path, [lines[index]!, ...lines.filter((_, at) => at !== index)]);
}

export function removeKey(path: string, id: string): void {
  const index = demandKey(path, id);
  writeLines(
    path,
    readKeyLines(path).filter((_, at) => at !== index),
  );
}

function demandKey(path: string, id: string): number {
  const index = listKeyIds(path).indexOf(id);
  if (index === -1) throw new KeyFileError(`${path} has no key ${id}.`);
  return index;
}

/** Replaces the file in one step, so that no service reads half of it. Its owner and its mode stay. */
function writeLines(path: string, lines: readonly string[]): void {
  const { mode, uid, gid } = statSync(path);
  const next = `${path}.new`;
  writeFileSync(next, `${lines.join('\n')}\n`, { mode: 0o600, flush: true });
  chownSync(next, uid, gid);
  chmodSync(next, mode);
  renameSync(next, path);
}
