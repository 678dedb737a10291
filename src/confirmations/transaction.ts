import { ValidateBy } from 'class-validator';
import { toCanonical } from '../tlog/canonical-json.js';

/** The caller's description of what the user was shown. The service reads nothing of it. */
export type Transaction = Readonly<Record<string, unknown>>;

/** Bound of the canonical form. */
const MAX_BYTES = 16_384;

/**
 * Finds what keeps a value from being a transaction: another type, its length, or a value that two readers could take for
 * different ones.
 *
 * @returns words after “must be”; undefined: nothing
 */
export function findTransactionFlaw(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'a JSON object';
  if (hasInexactNumber(value)) return 'without numbers beyond 2^53, which lose digits: write them as text';
  try {
    if (Buffer.byteLength(toCanonical(value)) <= MAX_BYTES) return undefined;
  } catch {
    return 'well-formed Unicode';
  }
  return `at most ${String(MAX_BYTES)} bytes of canonical JSON (RFC 8785)`;
}

/** Integers beyond 2^53 are not exact in an IEEE 754 double (RFC 7493 §2.2). JSON.parse reads 1e400 as Infinity. */
function hasInexactNumber(value: unknown): boolean {
  if (typeof value === 'number') return Math.abs(value) > Number.MAX_SAFE_INTEGER;
  return typeof value === 'object' && value !== null && Object.values(value).some(hasInexactNumber);
}

export function IsTransaction(): PropertyDecorator {
  return ValidateBy({
    name: 'isTransaction',
    validator: {
      validate: (value): boolean => findTransactionFlaw(value) === undefined,
      defaultMessage: (args) => `$property must be ${findTransactionFlaw(args?.value) ?? ''}`,
    },
  });
}
