import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, type ValidationArguments, ValidationTypes } from 'class-validator';
import { isBrowserWritten } from './browser-written.js';

type Members = Readonly<Record<string, unknown>>;
type DtoClass = new () => object;
type ValidationMetadata = ReturnType<ReturnType<typeof getMetadataStorage>['getTargetValidationMetadatas']>[number];

interface Check {
  readonly holds: (value: unknown, object: object) => boolean;
}

interface Member {
  /** Conditions of @Optional and @IsOptional: the checks apply only if all hold. */
  readonly conditions: readonly ((object: object, value: unknown) => boolean)[];
  readonly checks: readonly Check[];
  readonly inner: Plan | undefined;
}

interface Plan {
  readonly dto: DtoClass;
  readonly members: ReadonlyMap<string, Member>;
  /** True if the service drops members that the class does not declare (browser-written.ts). */
  readonly dropsUnknown: boolean;
}

const PLANS = new Map<DtoClass, Plan | undefined>();

/**
 * Makes an instance of a DTO class from a valid body. It returns undefined if the body is not valid, or if only
 * class-validator can decide.
 *
 * class-validator looks up, sorts and groups its decorators again for each object, and class-transformer copies the
 * object member by member. Together they take a tenth of the time of an authentication. This file reads the decorators
 * once for each class, and runs the same validators. A body that it refuses goes to class-validator, which writes the
 * message. So it must not accept a body that class-validator would refuse, but it may refuse any body.
 */
export function instanceOf(dto: DtoClass, body: unknown): object | undefined {
  const plan = compiled(dto);
  return plan && instantiate(plan, body);
}

/** Drops the members that a browser wrote and that the class does not declare. class-validator would refuse them. */
export function withoutUnknown(dto: DtoClass, body: unknown): unknown {
  const plan = compiled(dto);
  return plan ? dropUnknown(plan, body) : body;
}

function dropUnknown({ members, dropsUnknown }: Plan, body: unknown): unknown {
  if (!isObject(body)) return body;
  const kept = Object.entries(body).filter(([name]) => !dropsUnknown || members.has(name));
  return Object.fromEntries(
    kept.map(([name, value]) => {
      const inner = members.get(name)?.inner;
      return [name, inner ? dropUnknown(inner, value) : value];
    }),
  );
}

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function compiled(dto: DtoClass): Plan | undefined {
  if (!PLANS.has(dto)) PLANS.set(dto, planOf(dto));
  return PLANS.get(dto);
}

function instantiate({ dto, members, dropsUnknown }: Plan, body: unknown): object | undefined {
  if (!isObject(body)) return undefined;
  const instance = new dto();
  for (const [name, value] of Object.entries(body)) {
    if (members.has(name)) (instance as Record<string, unknown>)[name] = value;
    else if (!dropsUnknown) return undefined;
  }
  for (const [name, { conditions, checks, inner }] of members) {
    const value = (instance as Members)[name];
    if (!conditions.every((applies) => applies(instance, value))) continue;
    if (!checks.every(({ holds }) => holds(value, instance))) return undefined;
    if (!inner) continue;
    const part = instantiate(inner, value);
    if (part === undefined) return undefined;
    (instance as Record<string, unknown>)[name] = part;
  }
  return instance;
}

/** @returns undefined if the class uses a decorator that this file does not support */
function planOf(dto: DtoClass): Plan | undefined {
  const metadata = getMetadataStorage().getTargetValidationMetadatas(dto, '', false, false);
  const members = new Map<string, Member>();
  for (const name of new Set(metadata.map(({ propertyName }) => propertyName))) {
    const member = memberOf(dto, name, metadata.filter(({ propertyName }) => propertyName === name)); // prettier-ignore
    if (!member) return undefined;
    members.set(name, member);
  }
  return { dto, members, dropsUnknown: isBrowserWritten(dto) };
}

function memberOf(dto: DtoClass, name: string, metadata: readonly ValidationMetadata[]): Member | undefined {
  const ofType = (...types: string[]): ValidationMetadata[] => metadata.filter(({ type }) => types.includes(type));
  const conditional = ofType(ValidationTypes.CONDITIONAL_VALIDATION);
  const custom = ofType(ValidationTypes.CUSTOM_VALIDATION, ValidationTypes.IS_DEFINED);
  const nested = ofType(ValidationTypes.NESTED_VALIDATION);
  const understood = conditional.length + custom.length + nested.length === metadata.length;
  const checks = custom.flatMap(checksOf);
  if (!understood || checks.includes(undefined) || nested.some(({ each }) => each)) return undefined;
  const conditions = conditional.map(({ constraints }) => constraints[0] as Member['conditions'][number]);
  const inner = nested.length > 0 ? planOf(innerClassOf(dto, name)) : undefined;
  const isCopied = nested.length > 0 ? inner !== undefined : staysAsItIs(dto, name);
  return isCopied ? { conditions, checks: checks as Check[], inner } : undefined;
}

/** Finds the class of which class-transformer makes an instance for this member. */
function innerClassOf(dto: DtoClass, name: string): DtoClass {
  const made = plainToInstance(dto, { [name]: {} }) as Readonly<Record<string, object>>;
  return made[name]!.constructor as DtoClass;
}

/** Reports whether class-transformer copies the member unchanged: it has neither @Transform nor @Type. */
function staysAsItIs(dto: DtoClass, name: string): boolean {
  const values = ['7', ['7']];
  return values.every((value) => {
    const made = plainToInstance(dto, { [name]: value }) as Members;
    return JSON.stringify(made[name]) === JSON.stringify(value);
  });
}

function checksOf(metadata: ValidationMetadata): (Check | undefined)[] {
  const { constraints, each, propertyName: property, constraintCls } = metadata;
  return getMetadataStorage()
    .getTargetValidatorConstraints(constraintCls)
    .map(({ async, instance }) => {
      if (async) return undefined;
      const holdsFor = (value: unknown, object: object): boolean => {
        const args: ValidationArguments = { value, constraints, targetName: object.constructor.name, object, property };
        return instance.validate(value, args) === true;
      };
      if (!each) return { holds: holdsFor };
      return { holds: (value, object) => Array.isArray(value) && value.every((one) => holdsFor(one, object)) };
    });
}
