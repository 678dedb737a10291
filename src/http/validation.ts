import { type ArgumentMetadata, ValidationPipe } from '@nestjs/common';
import { getMetadataStorage, validate } from 'class-validator';
import { createMalformedProblem, Problem } from './problem.js';
import { describeInvalidMembers } from './invalid-members.js';
import { isObject, toInstance } from './request-class.js';

/**
 * Refuses unknown members, except in an object that a browser wrote (`@BrowserWritten`), and reports every wrong
 * member by its JSON pointer.
 */
export function createValidationPipe(): ValidationPipe {
  return new StrictValidationPipe({
    transform: true,
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    validationError: { target: true, value: true },
    exceptionFactory: (errors) => new Problem('request-malformed', { invalid: describeInvalidMembers(errors) }),
  });
}

/**
 * Makes the instances of bodies itself. class-transformer would cost as much as the checks
 * (docs/adr/0021-validation-by-class-validator.md).
 */
class StrictValidationPipe extends ValidationPipe {
  /** @throws Problem request-malformed */
  override async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    const { type, metatype } = metadata;
    if (type !== 'body' || !this.toValidate(metadata)) return super.transform(value, metadata);
    if (!isObject(value)) throw createMalformedProblem('the body must be a JSON object');
    const instance = toInstance(metatype as new () => object, value);
    const errors = await validate(instance, this.validatorOptions);
    if (errors.length > 0) throw await this.exceptionFactory(errors);
    return instance;
  }
}

/**
 * class-validator looks through the decorators of all classes for each object that it checks. They do not change once a
 * class is declared, and no class here uses groups, so what it finds for a class, and how it groups that, is kept.
 */
function keepDecorators(): void {
  const storage = getMetadataStorage();
  const collect = storage.getTargetValidationMetadatas.bind(storage);
  const kept = new Map<unknown, ReturnType<typeof collect>>();
  storage.getTargetValidationMetadatas = (target, ...options) => {
    const decorators = kept.get(target) ?? collect(target, ...options);
    if (decorators.length > 0) kept.set(target, decorators);
    return decorators;
  };
  const group = storage.groupByPropertyName.bind(storage);
  const grouped = new WeakMap<object, ReturnType<typeof group>>();
  storage.groupByPropertyName = (decorators) => {
    const known = grouped.get(decorators);
    if (known) return known;
    const groups = group(decorators);
    grouped.set(decorators, groups);
    return groups;
  };
}

keepDecorators();
