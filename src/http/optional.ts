import { ValidateIf } from 'class-validator';

/** Marks a member that may be absent. Unlike with IsOptional, null does not count as absent. */
export function Optional(): PropertyDecorator {
  return ValidateIf((_object, value) => value !== undefined);
}
