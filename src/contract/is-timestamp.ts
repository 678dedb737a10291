import { buildMessage, ValidateBy, type ValidationOptions } from 'class-validator';

const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

function isTimestamp(value: unknown): boolean {
  const day = typeof value === 'string' ? RFC_3339.exec(value)?.[1] : undefined;
  if (day === undefined || Number.isNaN(Date.parse((value as string).toUpperCase()))) return false;
  // Date.parse takes the 30th of February for the 2nd of March.
  return new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
}

/** A time as RFC 3339 §5.6 writes it. */
export function IsTimestamp(options?: ValidationOptions): PropertyDecorator {
  return ValidateBy(
    {
      name: 'isTimestamp',
      validator: {
        validate: isTimestamp,
        defaultMessage: buildMessage((each) => `${each}$property must be an RFC 3339 time`, options),
      },
    },
    options,
  );
}
