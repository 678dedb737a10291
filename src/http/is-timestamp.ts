import { ValidateBy } from 'class-validator';

const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt](?!24)\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** Date.parse() alone would read 24:00 as the next day, and 30 February as 2 March. */
export function isTimestamp(value: unknown): value is string {
  if (typeof value !== 'string') return false;
  const day = RFC_3339.exec(value)?.[1];
  if (day === undefined || Number.isNaN(Date.parse(value.toUpperCase()))) return false;
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

/** Accepts a time in the format of RFC 3339 §5.6. */
export function IsTimestamp(): PropertyDecorator {
  return ValidateBy({
    name: 'isTimestamp',
    validator: { validate: isTimestamp, defaultMessage: () => '$property must be an RFC 3339 time' },
  });
}
