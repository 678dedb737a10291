import { ValidateIf } from 'class-validator';

/** A member that may be absent. Unlike IsOptional, null is not absent. */
export function Optional(): PropertyDecorator {
  return ValidateIf((_object, value) => value !== undefined);
}
