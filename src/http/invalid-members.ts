import { getMetadataStorage, type ValidationError } from 'class-validator';
import { appendPointer, type InvalidMember } from './problem.js';

type ValidationMetadata = ReturnType<ReturnType<typeof getMetadataStorage>['getTargetValidationMetadatas']>[number];

const MAX_DETAIL = 512;
/** A value of the wrong type fails every other check too, so the answer reports only the first of these. */
const TYPES = ['isDefined', 'isArray', 'isObject', 'isString', 'isInt', 'isBoolean'];
/** The answer reports at most so many elements of a list: they usually share one mistake. */
const MAX_ELEMENTS = 8;

/**
 * Describes the findings of class-validator: each wrong member by its JSON pointer, an element of a list by its index.
 * The description does not repeat the value, which may be a secret. The errors must carry their target and their value.
 */
export function describeInvalidMembers(errors: readonly ValidationError[], parent = ''): InvalidMember[] {
  return errors.flatMap((error) => {
    // An error about a value that is not an object names no property.
    if ((error.property as string | undefined) === undefined) return [{ pointer: parent, detail: 'must be an object' }];
    const pointer = appendPointer(parent, error.property);
    return [...describeOwnMistakes(error, pointer), ...describeInvalidMembers(error.children ?? [], pointer)];
  });
}

function describeOwnMistakes(error: ValidationError, pointer: string): InvalidMember[] {
  const { constraints = {} } = error;
  if ('whitelistValidation' in constraints) return [{ pointer, detail: 'is not a member of the contract' }];
  const mistakes = Object.entries(constraints).flatMap(([name, message]): Mistake[] => {
    const elements = findWrongElements(error, name);
    if (elements.length === 0) return [{ name, pointer, detail: message }];
    return elements.slice(0, MAX_ELEMENTS).map((index) => {
      const element = `${error.property}[${String(index)}]`;
      const detail =
        name === 'arrayUnique' ? `${element} repeats an earlier value` : message.replace(/^each value in \S+/, element);
      return { name, pointer: appendPointer(pointer, String(index)), detail };
    });
  });
  return [...Map.groupBy(mistakes, ({ pointer: place }) => place).values()]
    .flatMap(keepTypeMistake)
    .map(({ pointer: place, detail }) => ({ pointer: place, detail: detail.slice(0, MAX_DETAIL).toWellFormed() }));
}

/** A mistake, with the name of the check that found it. */
type Mistake = InvalidMember & { readonly name: string };

function keepTypeMistake(mistakes: readonly Mistake[]): readonly Mistake[] {
  const [type] = TYPES.flatMap((check) => mistakes.filter(({ name }) => name === check));
  return type ? [type] : mistakes;
}

/** Lists the indexes of the elements that a check refuses; empty if the check is about the list as a whole. */
function findWrongElements(error: ValidationError, check: string): number[] {
  const list: unknown = error.value;
  if (!Array.isArray(list)) return [];
  if (check === 'arrayUnique') return findRepeats(list);
  const [metadata] = findMetadata(error).filter(({ each, name }) => each && name === check);
  if (!metadata) return [];
  const [constraint] = getMetadataStorage().getTargetValidatorConstraints(metadata.constraintCls);
  const { property, target: object = {} } = error;
  const { constraints } = metadata;
  return findIndexes(list, (value) => {
    const args = { value, constraints, targetName: object.constructor.name, object, property };
    return constraint?.instance.validate(value, args) !== true;
  });
}

function findRepeats(list: readonly unknown[]): number[] {
  const seen = new Set<unknown>();
  return findIndexes(list, (value) => seen.size === seen.add(value).size);
}

function findMetadata({ target, property }: ValidationError): ValidationMetadata[] {
  if (!target) return [];
  return getMetadataStorage()
    .getTargetValidationMetadatas(target.constructor, '', false, false)
    .filter(({ propertyName }) => propertyName === property);
}

function findIndexes(list: readonly unknown[], wrong: (value: unknown) => boolean): number[] {
  return [...list.entries()].filter(([, value]) => wrong(value)).map(([index]) => index);
}
