import { computeHmac } from '../config/hmac.js';
import type { SealKey } from '../config/secret-keys.js';

/** What a seal says of a row. */
export interface SealedRow {
  /** The kind of the row. A seal holds for one kind only. */
  readonly kind: 'credential' | 'user' | 'relying-party' | 'approval' | 'approval-user' | 'check' | 'event';
  /** Everything that the seal covers, in a fixed order: strings, numbers, booleans, null, bytes, times, or lists of these. */
  readonly parts: readonly unknown[];
  /** Computes the seal of the version before; undefined if that version sealed no such rows. */
  readonly former?: (keys: SealKey['former']) => Buffer;
  /** True if the version before stored such rows without a seal. */
  readonly wasUnsealed?: boolean;
}

const KEY_ID_BYTES = 4;
const MAC_BYTES = 16;
/** The length of a seal. One of the version before has 32 bytes. */
export const SEAL_BYTES = KEY_ID_BYTES + MAC_BYTES;

/** Returns the id of the key that made a seal, 8 hexadecimal digits. */
export function readKeyId(seal: Buffer): string {
  return seal.toString('hex', 0, KEY_ID_BYTES);
}

/** Computes the seal of a row under a key. */
export function computeSeal({ id, secret }: SealKey, { kind, parts }: SealedRow): Buffer {
  const texts: unknown[] = [kind];
  for (const part of parts) texts.push(toText(part));
  const seal = Buffer.allocUnsafe(SEAL_BYTES);
  seal.write(id, 'hex');
  computeHmac(secret, JSON.stringify(texts)).copy(seal, KEY_ID_BYTES, 0, MAC_BYTES);
  return seal;
}

/**
 * Returns what JSON has a form for. It has none for bytes, and `JSON.stringify` takes several times as long for a list with a
 * Date. A time without a value, such as `infinity`, becomes null, which no column of a time in a seal is.
 */
function toText(part: unknown): unknown {
  if (typeof part !== 'object') return part;
  if (Buffer.isBuffer(part)) return part.toString('base64');
  if (part instanceof Date) return Number.isNaN(part.getTime()) ? null : part.toISOString();
  return part;
}
