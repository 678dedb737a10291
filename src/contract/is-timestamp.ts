import { buildMessage, ValidateBy, type ValidationOptions } from 'class-validator';

const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

/** A time as RFC 3339 §5.6 writes it. */
export function IsTimestamp(options?: ValidationOptions): PropertyDecorator {
  return ValidateBy(
    {
      name: 'isTimestamp',
      validator: {
        validate: (value): boolean =>
          typeof value === 'string' && RFC_3339.test(value) && !Number.isNaN(Date.parse(value.toUpperCase())),
        defaultMessage: buildMessage((each) => `${each}$property must be an RFC 3339 time`, options),
      },
    },
    options,
  );
}
