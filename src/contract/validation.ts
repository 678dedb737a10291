import { type ArgumentMetadata, ValidationPipe } from '@nestjs/common';
import type { ValidationError } from 'class-validator';
import { type InvalidMember, Problem } from '../problems/problem.js';
import { instanceOf, withoutUnknown } from './compiled-validation.js';
import { pointerOf } from './json-pointer.js';

/**
 * Unknown members are refused, except where a browser wrote the object (browser-written.ts), and every wrong member is
 * named by its JSON pointer.
 */
export function strictValidation(): ValidationPipe {
  return new StrictValidation({
    transform: true,
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    validationError: { target: false, value: false },
    exceptionFactory: (errors) =>
      new Problem('request-malformed', { invalid: errors.flatMap((error) => membersOf(error, '')) }),
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

function membersOf({ property, constraints, children }: ValidationError, parent: string): InvalidMember[] {
  const pointer = pointerOf(parent, property);
  const own =
    constraints && 'whitelistValidation' in constraints
      ? ['is not a member that the contract knows']
      : Object.values(constraints ?? {});
  return [
    ...own.map((detail) => ({ pointer, detail: detail.slice(0, 512).toWellFormed() })),
    ...(children ?? []).flatMap((child) => membersOf(child, pointer)),
  ];
}
