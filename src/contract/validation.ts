import { type ArgumentMetadata, ValidationPipe } from '@nestjs/common';
import { Problem } from '../problems/problem.js';
import { instanceOf, withoutUnknown } from './compiled-validation.js';
import { invalidMembers } from './invalid-members.js';

/**
 * Refuses unknown members, except in an object that a browser wrote (browser-written.ts), and reports every wrong
 * member by its JSON pointer.
 */
export function strictValidation(): ValidationPipe {
  return new StrictValidation({
    transform: true,
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    validationError: { target: true, value: true },
    exceptionFactory: (errors) => new Problem('request-malformed', { invalid: invalidMembers(errors) }),
  });
}

class StrictValidation extends ValidationPipe {
  override transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    const { type, metatype } = metadata;
    if (type !== 'body' || !metatype) return super.transform(value, metadata);
    const dto = metatype as new () => object;
    const instance = instanceOf(dto, value);
    return instance ? Promise.resolve(instance) : super.transform(withoutUnknown(dto, value), metadata);
  }
}
