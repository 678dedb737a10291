import { ValidateBy } from 'class-validator';

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
