import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { plainToInstance, Transform, Type } from 'class-transformer';
import { IsArray, IsInt, IsObject, ValidateNested, validate } from 'class-validator';
import fc from 'fast-check';
import {
  IssueAuthenticationChallengeDto,
  IssueRegistrationChallengeDto,
} from '../challenges/dto/issue-challenge.dto.js';
import { RegisterCredentialDto, VerifyAuthenticationDto } from '../credentials/dto/ceremony-answer.dto.js';
import { RenameCredentialDto } from '../credentials/dto/manage-credential.dto.js';
import { instanceOf, withoutUnknown } from './compiled-validation.js';
import { IsText } from './is-text.js';

const ID = '0199b4e0-0000-7000-8000-000000000001';
const answer = { id: 'AAAA', rawId: 'AAAA', type: 'public-key', clientExtensionResults: { credProps: { rk: true } } };
const HOT: [name: string, dto: new () => object, valid: object][] = [
  ['IssueAuthenticationChallengeDto', IssueAuthenticationChallengeDto, { rpId: 'a.example', userId: 'u-1', purpose: 'pay', hints: ['hybrid'] }],
  ['IssueRegistrationChallengeDto', IssueRegistrationChallengeDto, { rpId: 'a.example', user: { id: 'u', name: 'n', displayName: 'd' }, identityProof: { method: 'm', verifiedAt: '2026-06-30T12:00:00Z' }, mediation: 'conditional' }],
  ['VerifyAuthenticationDto', VerifyAuthenticationDto, { challengeId: ID, response: { ...answer, response: { clientDataJSON: 'AAAA', authenticatorData: 'AAAA', signature: 'AAAA', userHandle: null } } }],
  ['RegisterCredentialDto', RegisterCredentialDto, { challengeId: ID, name: 'n', response: { ...answer, response: { clientDataJSON: 'AAAA', attestationObject: 'AAAA', transports: ['usb'] } } }],
  ['RenameCredentialDto', RenameCredentialDto, { name: 'n' }],
]; // prettier-ignore

/** Validates with class-validator itself, as strictly as the service does. */
async function slowInstanceOf(dto: new () => object, body: unknown): Promise<object | undefined> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined;
  const instance = plainToInstance(dto, withoutUnknown(dto, body) as object);
  const errors = await validate(instance, { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true });
  return errors.length === 0 ? instance : undefined;
}

/** Generates bodies that differ from this one in one place, at any depth. */
const variantsOf = (body: unknown): fc.Arbitrary<unknown> => {
  const strange = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('', 'AAAA', null, [], {}, 'platform', 7, true, [null], [['usb']]),
  );
  if (typeof body !== 'object' || body === null) return strange;
  if (Array.isArray(body)) return fc.oneof(strange, fc.array(strange, { maxLength: 5 }));
  const changes = Object.entries(body).flatMap(([name, value]) => [
    variantsOf(value).map((other) => ({ ...body, [name]: other })),
    fc.constant(Object.fromEntries(Object.entries(body).filter(([other]) => other !== name))),
  ]);
  const added = fc
    .tuple(fc.string(), strange)
    .map(([name, value]) => ({ ...body, [name === '__proto__' ? 'x' : name]: value }));
  return fc.oneof(strange, added, ...changes);
};

describe.each(HOT)('%s', (_, dto, valid) => {
  it('is made of a valid body, as class-transformer would', async () => {
    const made = instanceOf(dto, structuredClone(valid));
    expect(made).toBeInstanceOf(dto);
    expect(made).toStrictEqual(await slowInstanceOf(dto, valid));
  });

  it('is never made of what class-validator refuses, and is as it makes it', async () => {
    await fc.assert(
      fc.asyncProperty(variantsOf(valid), async (body) => {
        const made = instanceOf(dto, structuredClone(body));
        if (made !== undefined) expect(made).toStrictEqual(await slowInstanceOf(dto, body));
      }),
      { numRuns: 300 },
    );
  });
});

describe('a class with what is not understood is left to class-validator', () => {
  class Transformed {
    @Transform(({ value }) => String(value))
    @IsText(1, 4)
    name: string;
  }
  class Converted {
    @Type(() => Number)
    @IsInt()
    count: number;
  }
  class Listed {
    @IsArray()
    @ValidateNested({ each: true })
    @Type(() => Transformed)
    list: Transformed[];
  }
  class Outer {
    @IsObject()
    @ValidateNested()
    @Type(() => Transformed)
    inner: Transformed;
  }

  it.each<[string, new () => object, object]>([
    ['a transformation', Transformed, { name: 'a' }],
    ['a conversion', Converted, { count: 1 }],
    ['a list of objects', Listed, { list: [] }],
    ['an inner object with one of these', Outer, { inner: { name: 'a' } }],
  ])('%s', (_, dto, body) => {
    expect(instanceOf(dto, body)).toBeUndefined();
  });
});
