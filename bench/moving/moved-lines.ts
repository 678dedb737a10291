import { randomBytes } from 'node:crypto';
import { generateKey } from '../../test/support/authenticator/keys.js';

/** Keys that passkeys share in turn, because making a million takes hours. */
const KEYS = 64;
const LINES_OF_A_CHUNK = 500;

export const userOf = (index: number): string => `moved-${String(index)}`;

/** Writes the lines of passkeys that another service had: one for each user. */
export function* movedLines(count: number): Generator<Buffer> {
  const keys = Array.from({ length: KEYS }, () => generateKey('ES256').cose.toString('base64url'));
  for (let from = 0; from < count; from += LINES_OF_A_CHUNK) {
    const to = Math.min(from + LINES_OF_A_CHUNK, count);
    const lines = Array.from({ length: to - from }, (_, offset) => lineOf(from + offset, keys));
    yield Buffer.from(lines.join(''));
  }
}

function lineOf(index: number, keys: readonly string[]): string {
  const line = {
    credentialId: randomBytes(32).toString('base64url'),
    userId: userOf(index),
    userHandle: randomBytes(16).toString('base64url'),
    publicKey: keys[index % KEYS],
    signCount: 0,
    backupEligible: true,
    source: 'old service',
  };
  return `${JSON.stringify(line)}\n`;
}
