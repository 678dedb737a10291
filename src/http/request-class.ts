import { applyDecorators } from '@nestjs/common';
import { getMetadataStorage, IsObject, ValidateNested } from 'class-validator';

type RequestClass = new () => object;

interface Shape {
  /** The declared members, each with the class of its object if it is one. */
  readonly members: ReadonlyMap<string, RequestClass | undefined>;
  readonly dropsUnknown: boolean;
}

const NESTED = Symbol('nested class');
const BROWSER_WRITTEN = new WeakSet<object>();
const SHAPES = new Map<RequestClass, Shape>();

/** A member that is an object of another request class. */
export function Nested(inner: () => RequestClass): PropertyDecorator {
  return applyDecorators(IsObject(), ValidateNested(), Reflect.metadata(NESTED, inner));
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
 * Makes an instance of a request class, with instances of its nested classes, for class-validator to check. A value that
 * is not an object and a member that the class does not declare stay as they are: class-validator refuses them. Only where
 * a browser wrote the object are such members left out.
 *
 * Members named as one that every object inherits are left out too: json-body.ts has refused them, and class-validator
 * would take some of them for declared ones.
 */
export function toInstance<T extends object>(dto: new () => T, value: unknown): T {
  if (Array.isArray(value)) return value.map((element) => toInstance(dto, element)) as never;
  if (typeof value !== 'object' || value === null) return value as never;
  const { members, dropsUnknown } = readShape(dto);
  const instance = new dto();
  for (const [name, member] of Object.entries(value)) {
    const inner = members.get(name);
    const isKept = members.has(name) || !(dropsUnknown || name in Object.prototype);
    if (isKept) (instance as Record<string, unknown>)[name] = inner ? toInstance(inner, member) : member;
  }
  return instance;
}

function readShape(dto: RequestClass): Shape {
  const known = SHAPES.get(dto);
  if (known) return known;
  const names = getMetadataStorage()
    .getTargetValidationMetadatas(dto, '', false, false)
    .map(({ propertyName }) => propertyName);
  const innerClass = (name: string): RequestClass | undefined =>
    (Reflect.getMetadata(NESTED, dto.prototype as object, name) as (() => RequestClass) | undefined)?.();
  const members = new Map(names.map((name) => [name, innerClass(name)]));
  const shape = { members, dropsUnknown: BROWSER_WRITTEN.has(dto) };
  SHAPES.set(dto, shape);
  return shape;
}
