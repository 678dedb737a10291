import { applyDecorators } from '@nestjs/common';
import { getMetadataStorage, IsObject, ValidateBy, ValidateNested } from 'class-validator';

type RequestClass = new () => object;

interface Shape {
  /** The declared members, each with what makes an instance of its object if it is one. */
  readonly members: ReadonlyMap<string, ((value: unknown) => unknown) | undefined>;
  readonly dropsUnknown: boolean;
}

const NESTED = Symbol('nested class');
const NESTED_BY_NAME = Symbol('nested class by name');
const BROWSER_WRITTEN = new WeakSet<object>();
const SHAPES = new Map<RequestClass, Shape>();

/** A member that is an object of another request class. */
export function Nested(inner: () => RequestClass): PropertyDecorator {
  return applyDecorators(IsObject(), ValidateNested(), Reflect.metadata(NESTED, inner));
}

/** A member that is a list of objects of another request class. */
export function NestedEach(inner: () => RequestClass): PropertyDecorator {
  return applyDecorators(IsObject({ each: true }), ValidateNested({ each: true }), Reflect.metadata(NESTED, inner));
}

/**
 * A member that is an object whose members the caller names, each an object of another request class. The instance has a
 * Map of them, because class-validator checks the values of one.
 *
 * @param isName which names are allowed
 * @param words complete “the names in … must be …”
 */
export function NestedByName(
  inner: () => RequestClass,
  { isName, words, most }: { isName: (name: string) => boolean; words: string; most: number },
): PropertyDecorator {
  const names = (value: unknown): string[] => (value instanceof Map ? [...(value as Map<string, unknown>).keys()] : []);
  return applyDecorators(
    IsObject(),
    ValidateNested({ message: 'each value in $property must be an object' }),
    ValidateBy({
      name: 'hasNames',
      validator: {
        validate: (value) => names(value).every(isName),
        defaultMessage: () => `the names in $property must be ${words}`,
      },
    }),
    ValidateBy({
      name: 'hasAtMost',
      validator: {
        validate: (value) => names(value).length <= most,
        defaultMessage: () => `$property must have at most ${String(most)} members`,
      },
    }),
    Reflect.metadata(NESTED_BY_NAME, inner),
  );
}

/**
 * Marks a class whose members a browser writes, not the caller. Browsers add members over the years (the dictionaries
 * of WebAuthn L3 §5.1 grow), so the service drops a member that the class does not declare, and does not refuse it.
 */
export function BrowserWritten(): ClassDecorator {
  return (target) => {
    BROWSER_WRITTEN.add(target);
  };
}

/**
 * Marks a class of the Shared Signals Framework, whose objects others may extend: receivers that conform send members that this
 * service does not know (docs/adr/0050-shared-signals.md). It drops them.
 */
export function Extensible(): ClassDecorator {
  return BrowserWritten();
}

/**
 * Makes an instance of a request class, with instances of its nested classes, for class-validator to check. A value that
 * is not an object and a member that the class does not declare stay as they are: class-validator refuses them. Only where
 * a browser wrote the object are such members left out.
 *
 * Members named as one that every object inherits are left out too: strict-json.ts has refused them, and class-validator
 * would take some of them for declared ones.
 */
export function toInstance<T extends object>(dto: new () => T, value: unknown): T {
  if (Array.isArray(value)) return value.map((element) => toInstance(dto, element)) as never;
  if (typeof value !== 'object' || value === null) return value as never;
  const { members, dropsUnknown } = readShape(dto);
  const instance = new dto();
  for (const [name, member] of Object.entries(value)) {
    const make = members.get(name);
    const isKept = members.has(name) || !(dropsUnknown || name in Object.prototype);
    if (isKept) (instance as Record<string, unknown>)[name] = make ? make(member) : member;
  }
  return instance;
}

/** class-validator would accept an empty list for an object. */
function toInstances(dto: RequestClass, value: unknown): unknown {
  if (!isObject(value)) return value;
  return new Map(Object.entries(value).map(([name, each]) => [name, isObject(each) ? toInstance(dto, each) : null]));
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readShape(dto: RequestClass): Shape {
  const known = SHAPES.get(dto);
  if (known) return known;
  const names = getMetadataStorage()
    .getTargetValidationMetadatas(dto, '', false, false)
    .map(({ propertyName }) => propertyName);
  const findInner = (kind: symbol, name: string): RequestClass | undefined =>
    (Reflect.getMetadata(kind, dto.prototype as object, name) as (() => RequestClass) | undefined)?.();
  const findMake = (name: string): ((value: unknown) => unknown) | undefined => {
    const [inner, named] = [findInner(NESTED, name), findInner(NESTED_BY_NAME, name)];
    if (named) return (value) => toInstances(named, value);
    return inner && ((value) => toInstance(inner, value));
  };
  const members = new Map(names.map((name) => [name, findMake(name)]));
  const shape = { members, dropsUnknown: BROWSER_WRITTEN.has(dto) };
  SHAPES.set(dto, shape);
  return shape;
}
