import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import { parse } from 'yaml';
import {
  IssueAuthenticationChallengeDto,
  IssueRegistrationChallengeDto,
} from '../challenges/dto/issue-challenge.dto.js';
import { RegisterCredentialDto, VerifyAuthenticationDto } from '../credentials/dto/ceremony-answer.dto.js';
import { ChangeStatusDto, RenameCredentialDto } from '../credentials/dto/manage-credential.dto.js';
import { PutRelyingPartyDto } from '../relying-parties/dto/put-relying-party.dto.js';
import { createValidationPipe } from './validation.js';

const ajv = new Ajv2020({ strict: false });
addFormatsModule.default(ajv);
ajv.addSchema(parse(readFileSync(new URL('../openapi/openapi.yaml', import.meta.url), 'utf8')) as object, 'openapi');

const ID = '0195511e-7c5a-7d3e-9a41-2f6c0f1f9f10';
const TIME = '2026-03-01T09:29:41.000Z';
const AAGUID = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const text = (length: number): string => 'x'.repeat(length);
const many = (length: number, item: (n: number) => unknown): unknown[] => Array.from({ length }, (_, n) => item(n));
const origin = (n: number): string => `https://o${String(n)}.example.com`;
const aaguid = (n: number): string => `ea9b8d66-4d01-1d21-3ce4-${n.toString(16).padStart(12, '0')}`;

const party = { name: 'Example', origins: ['https://login.example.com'] };
const withPolicy = (...policies: unknown[]): unknown[] => policies.map((policy) => ({ ...party, policy }));
const registration = { rpId: 'login.example.com', user: { id: 'u', name: 'n', displayName: 'd' } };
const authentication = { rpId: 'login.example.com' };
const credential = { id: 'AAAA', rawId: 'AAAA', type: 'public-key', clientExtensionResults: {} };
const created = { ...credential, response: { clientDataJSON: 'AAAA', attestationObject: 'AAAA' } };
const got = { ...credential, response: { clientDataJSON: 'AAAA', authenticatorData: 'AAAA', signature: 'AAAA' } };

/** Bodies on both sides of each bound. The service and the published document must agree about every one. */
const BODIES: [schema: string, dto: new () => object, bodies: unknown[]][] = [
  [
    'RelyingPartySettings',
    PutRelyingPartyDto,
    [
      party,
      ...['', text(256), text(257), 7, null].map((name) => ({ ...party, name })),
      ...[0, 1, 100, 101].map((n) => ({ ...party, origins: many(n, origin) })),
      ...[['https://a.example/'], ['http://a.example'], ['https://a.example', 'https://a.example'], 'x', null].map(
        (origins) => ({ ...party, origins }),
      ),
      ...[true, 'true', null].map((enabled) => ({ ...party, enabled })),
      ...[0, 1, 1.5, '1', null].map((version) => ({ ...party, version })),
      ...[TIME, 'yesterday', null].map((createdAt) => ({ ...party, createdAt, updatedAt: createdAt })),
      ...withPolicy({}, null, [], { nothing: 1 }),
      ...withPolicy(
        ...['required', 'preferred', 'discouraged', 'REQUIRED', null].map((userVerification) => ({ userVerification })),
      ),
      ...withPolicy(...['required', 'never'].map((residentKey) => ({ residentKey }))),
      ...withPolicy(...[0, 1, 64, 65, '20', null].map((maxCredentialsPerUser) => ({ maxCredentialsPerUser }))),
      ...withPolicy(...[0, 1, 3_600, 3_601].map((challengeTtlSeconds) => ({ challengeTtlSeconds }))),
      ...withPolicy(...['reject', 'flag', 'ignore'].map((signCountRegression) => ({ signCountRegression }))),
      ...withPolicy(...['reject', 'accept-growth', 'accept'].map((change) => ({ backupEligibilityChange: change }))),
      ...withPolicy(...['any', 'device-bound', 'synced', 'none'].map((backup) => ({ backup }))),
      ...withPolicy(
        ...[[], [-7], [-7, -7], [-48, -8, -7, -257, -35, -36, -37, -49, -50], [-47], ['-7'], null].map(
          (algorithms) => ({
            algorithms,
          }),
        ),
      ),
      ...withPolicy(
        ...[
          {},
          { conveyance: 'direct' },
          { conveyance: 'x' },
          { trust: 'trusted' },
          { trust: 'x' },
          { x: 1 },
          null,
        ].map((attestation) => ({ attestation })),
      ),
      ...withPolicy(
        ...[[], ['none'], ['none', 'none'], ['none', 'packed', 'fido-u2f', 'tpm', 'apple'], ['android-safetynet']].map(
          (formats) => ({
            attestation: { formats },
          }),
        ),
      ),
      ...withPolicy(
        ...[
          { allow: [] },
          { allow: [AAGUID] },
          { deny: [AAGUID, AAGUID] },
          { deny: ['x'] },
          { unknown: 'deny' },
          { unknown: 1 },
        ].map((authenticators) => ({ authenticators })),
        ...[1_000, 1_001].map((n) => ({ authenticators: { allow: many(n, aaguid) } })),
      ),
      ...withPolicy(
        ...[{ allow: true }, { allow: 1 }, { topOrigins: ['https://a.example'] }, { topOrigins: ['a'] }].map(
          (crossOrigin) => ({
            crossOrigin,
          }),
        ),
        ...[100, 101].map((n) => ({ crossOrigin: { topOrigins: many(n, origin) } })),
      ),
      ...withPolicy(
        ...[
          { required: false },
          { required: 0 },
          ...[0, 1, 86_400, 86_401].map((maxAgeSeconds) => ({ maxAgeSeconds })),
        ].map((identityProof) => ({ identityProof })),
      ),
      ...withPolicy(
        ...[
          {},
          null,
          { x: 1 },
          ...[0, 1, 10_000, 10_001, 1.5, '120', null].map((challengesPerMinute) => ({ challengesPerMinute })),
          ...[0, 1, 1_000, 1_001, 1.5, '10', null].map((refusalsPerHalfHour) => ({ refusalsPerHalfHour })),
        ].map((userLimits) => ({ userLimits })),
      ),
    ],
  ],
  [
    'RegistrationChallengeRequest',
    IssueRegistrationChallengeDto,
    [
      registration,
      ...['LOGIN.example.com', 'a..b', '', `${text(63)}.example`, `${text(64)}.example`, null].map((rpId) => ({
        ...registration,
        rpId,
      })),
      ...['', '.', '..', '...', text(256), text(257), 'a\u0000b', '😀'.repeat(256), '😀'.repeat(257), 1].map((id) => ({
        ...registration,
        user: { ...registration.user, id },
      })),
      ...[null, [], { id: 'u' }, { ...registration.user, x: 1 }].map((user) => ({ ...registration, user })),
      ...['', text(256), text(257)].map((name) => ({
        ...registration,
        user: { ...registration.user, name, displayName: name },
      })),
      ...['', text(256), text(257), null].map((displayName) => ({
        ...registration,
        user: { ...registration.user, displayName },
      })),
      ...[
        { method: 'm', verifiedAt: TIME },
        { method: 'm' },
        { method: '', verifiedAt: TIME },
        { method: text(64), verifiedAt: TIME },
        null,
      ].map((identityProof) => ({ ...registration, identityProof })),
      ...[text(256), text(257), ''].map((reference) => ({
        ...registration,
        identityProof: { method: 'm', verifiedAt: TIME, reference },
      })),
      ...['platform', 'cross-platform', 'other', null].map((authenticatorAttachment) => ({
        ...registration,
        authenticatorAttachment,
      })),
      ...['conditional', 'silent', null].map((mediation) => ({ ...registration, mediation })),
      ...[[], ['hybrid'], ['hybrid', 'hybrid'], ['x'], null].map((hints) => ({ ...registration, hints })),
      ...['', text(64), text(65), 'pay:1/2', 'a b', null].map((purpose) => ({ ...registration, purpose })),
      { ...registration, origin: 'https://login.example.com' },
    ],
  ],
  [
    'AuthenticationChallengeRequest',
    IssueAuthenticationChallengeDto,
    [authentication, {}, ...['', text(256), text(257), 1, null].map((userId) => ({ ...authentication, userId }))],
  ],
  [
    'RegistrationRequest',
    RegisterCredentialDto,
    [
      { challengeId: ID, response: created },
      ...['x', 1, null].map((challengeId) => ({ challengeId, response: created })),
      ...['', text(64), text(65), null].map((name) => ({ challengeId: ID, response: created, name })),
      ...['', 'a+b', 'a=', null, 1].map((id) => ({ challengeId: ID, response: { ...created, id } })),
      ...['public-key', 'password'].map((type) => ({ challengeId: ID, response: { ...created, type } })),
      ...['platform', null, 'x', text(33)].map((authenticatorAttachment) => ({
        challengeId: ID,
        response: { ...created, authenticatorAttachment },
      })),
      ...[{}, { a: { b: 1 } }, { credProps: null }, { credProps: 'x' }, [], 'x', null].map(
        (clientExtensionResults) => ({
          challengeId: ID,
          response: { ...created, clientExtensionResults },
        }),
      ),
      { challengeId: ID, response: { ...created, remoteDesktop: true } },
      { challengeId: ID, response: created, remoteDesktop: true },
      ...[
        {},
        ...[[], ['usb'], ['USB'], [''], ['vendor:x.v2'], [text(256)], [text(257)], [7], [null], 'usb', null].map(
          (transports) => ({ transports }),
        ),
        ...[64, 65].map((length) => ({ transports: many(length, (n) => `t${String(n)}`) })),
        ...[-7, null, '-7', 1.5].map((publicKeyAlgorithm) => ({ publicKeyAlgorithm })),
        ...['AAAA', '', null, 'a+b', 7].flatMap((value) => [{ publicKey: value }, { authenticatorData: value }]),
        { x: 1 },
      ].map((more) => ({ challengeId: ID, response: { ...created, response: { ...created.response, ...more } } })),
    ],
  ],
  [
    'AuthenticationRequest',
    VerifyAuthenticationDto,
    [
      { challengeId: ID, response: got },
      { challengeId: ID, response: got, purpose: 'sign-in' },
      ...['AAAA', null, '', 'a+b', 1].map((userHandle) => ({
        challengeId: ID,
        response: { ...got, response: { ...got.response, userHandle } },
      })),
      ...[{ x: 1 }, { attestationObject: 'AAAA' }].map((more) => ({
        challengeId: ID,
        response: { ...got, ...more, response: { ...got.response, ...more } },
      })),
      ...[null, { prf: { results: { first: 'AAAA' } } }, 7].map((clientExtensionResults) => ({
        challengeId: ID,
        response: { ...got, clientExtensionResults },
      })),
    ],
  ],
  ['Rename', RenameCredentialDto, ['', 'n', text(64), text(65), '\u0007', null].map((name) => ({ name }))],
  ['StatusChange', ChangeStatusDto, ['', 'r', text(256), text(257), null].map((reason) => ({ reason }))],
];

async function accepts(dto: new () => object, body: unknown): Promise<boolean> {
  return createValidationPipe()
    .transform(body, { type: 'body', metatype: dto })
    .then(
      () => true,
      () => false,
    );
}

describe.each(BODIES)('%s', (schema, dto, bodies) => {
  const validate = ajv.getSchema(`openapi#/components/schemas/${schema}`) as ValidateFunction;

  it.each(bodies.map((body) => [JSON.stringify(body).slice(0, 120), body]))(
    'service and document agree on %s',
    async (_, body) => {
      expect(await accepts(dto, body)).toBe(validate(JSON.parse(JSON.stringify(body))));
    },
  );
});
