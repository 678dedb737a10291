import { buildMessage, Matches, ValidateBy, ValidateIf, type ValidationOptions } from 'class-validator';

/*
 * Decorators for the members of request classes, beside those of class-validator. Each has a predicate of the same name where
 * files are checked by the same rule.
 */

/** Marks a member that may be absent. Unlike with IsOptional, null does not count as absent. */
export function Optional(): PropertyDecorator {
  return ValidateIf((_object, value) => value !== undefined);
}

/** Marks a member that may be absent or null, which mean the same. */
export function Nullable(): PropertyDecorator {
  return ValidateIf((_object, value) => value !== undefined && value !== null);
}

/**
 * Checks a text against a pattern. The message holds the words, not the pattern.
 *
 * @param words complete “must be …”
 */
export function HasForm(form: RegExp, words: string, options?: ValidationOptions): PropertyDecorator {
  return Matches(form, { ...options, message: buildMessage((each) => `${each}$property must be ${words}`, options) });
}

/** The purpose of a ceremony. */
export const PURPOSE = /^[A-Za-z0-9._:/-]{1,64}$/;
export const PURPOSE_WORDS = '1 to 64 letters, digits and . _ : / -';

/** A UUID of any version: an id that this service did not issue is unknown, not malformed. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Accepts a string of `min` to `max` characters (Unicode code points) that PostgreSQL can store and that every program
 * reads the same way: without control characters and lone surrogates.
 */
export function IsText(min: number, max: number): PropertyDecorator {
  const words = `text of ${String(min)} to ${String(max)} characters without control characters`;
  return ValidateBy({
    name: 'isText',
    validator: {
      validate: (value): boolean => isText(value, min, max),
      defaultMessage: () => `$property must be ${words}`,
    },
  });
}

export function isText(value: unknown, min: number, max: number): value is string {
  if (typeof value !== 'string' || value.length > max * 2 || !value.isWellFormed()) return false;
  // eslint-disable-next-line no-control-regex -- the pattern finds control characters
  if (/[\u0000-\u001f\u007f-\u009f]/.test(value)) return false;
  const characters = Array.from(value).length;
  return characters >= min && characters <= max;
}

const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt](?!24)\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** The year 0 is none in PostgreSQL, and RFC 3339 writes no year of five digits, which a time zone can make of 9999. */
export const FIRST_TIME = Date.parse('0001-01-01T00:00:00Z');
const LAST_TIME = Date.parse('9999-12-31T23:59:59.999Z');
export const TIMESTAMP_WORDS = 'an RFC 3339 time from the year 0001 to 9999 of UTC';

/** Date.parse() alone would read 24:00 as the next day, and 30 February as 2 March. */
export function isTimestamp(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const day = RFC_3339.exec(value)?.[1];
  const time = Date.parse(value.toUpperCase());
  if (day === undefined || !(time >= FIRST_TIME && time <= LAST_TIME)) return false;
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

/** Accepts a time in the format of RFC 3339 §5.6, of a year that is written the same everywhere. */
export function IsTimestamp(): PropertyDecorator {
  return ValidateBy({
    name: 'isTimestamp',
    validator: { validate: isTimestamp, defaultMessage: () => `$property must be ${TIMESTAMP_WORDS}` },
  });
}

/** The audience of a receipt: a name or a URI in printable ASCII (RFC 7519 §2, StringOrURI), without `*`. */
export const AUDIENCE = /^[!-)+-~]{1,256}$/;
export const AUDIENCE_WORDS = 'a name or a URI of 1 to 256 printable ASCII characters, without spaces and *';

const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/** Accepts an RP ID (WebAuthn L3 §4): a lower-case ASCII domain, without a trailing dot, that is not an IP address. */
export function isRpId(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 253) return false;
  const labels = value.split('.');
  return labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!);
}

export function IsRpId(): PropertyDecorator {
  return ValidateBy({
    name: 'isRpId',
    validator: {
      validate: isRpId,
      defaultMessage: () => '$property must be a lower-case domain, such as login.example.com',
    },
  });
}
