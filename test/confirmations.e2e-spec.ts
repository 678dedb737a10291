import { hash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { AssertionInterference } from './support/authenticator/interference.js';
import {
  type AuditEvent,
  type AuthenticationChallenge,
  type Credential,
  makeAuthenticationRejected,
  makeProblem,
  type Page,
  type Verification,
} from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { TestService } from './support/service.js';

const SPENT = makeProblem(409, 'challenge-spent');
const TRANSACTION = { kind: 'transfer', to: 'DE02120300000000202051', amount: '250.00', currency: 'EUR' };
/** Made by another writer of RFC 8785: the members in the order of their names. */
const DIGEST = hash(
  'sha256',
  '{"amount":"250.00","currency":"EUR","kind":"transfer","to":"DE02120300000000202051"}',
  'base64url',
);

type ConfirmationChallenge = AuthenticationChallenge & { digest: string };
type Confirmation = Verification & { digest: string; receipt?: string };

let service: TestService;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let credential: Credential;
let user: string;
let users = 0;

beforeAll(async () => {
  service = await TestService.start();
  login = await service.relyingParty('login.example.com');
});
afterAll(() => service.stop());

/** Every test has a user with one passkey. */
beforeEach(async () => {
  authenticator = new Authenticator();
  user = `user-${String((users += 1))}`;
  credential = await login.registered(user, authenticator);
});

const request = (members: object = {}): Promise<Answer<ConfirmationChallenge>> =>
  service.client.call('auth-service', 'POST', '/v1/challenges/confirmation', {
    ...{ rpId: login.rpId, userId: user, transaction: TRANSACTION },
    ...members,
  });
const begin = async (members: object = {}): Promise<ConfirmationChallenge> =>
  requireStatus(await request(members), 201);
const confirm = (challengeId: string, response: unknown, members: object = {}): Promise<Answer<Confirmation>> =>
  service.client.call('auth-service', 'POST', '/v1/confirmations', {
    ...{ challengeId, response, transaction: TRANSACTION },
    ...members,
  });
const answer = ({ publicKey }: ConfirmationChallenge, interference?: AssertionInterference) =>
  authenticator.get(publicKey, login.origin, interference);

describe('POST /v1/challenges/confirmation', () => {
  it('offers the passkeys of the user, demands user verification, and tells the digest', async () => {
    const { publicKey, digest } = await begin();
    expect(publicKey).toMatchObject({
      rpId: login.rpId,
      userVerification: 'required',
      allowCredentials: [{ id: credential.credentialId }],
    });
    expect(digest).toBe(DIGEST);
  });

  it('follows the purpose confirm where it names none', async () => {
    const purposes = { confirm: { challengeTtlSeconds: 60, backup: 'device-bound' }, transfer: { backup: 'synced' } };
    const strict = await service.relyingParty('strict.example.com', { purposes });
    const passkey = new Authenticator();
    const { credentialId } = await strict.registered(user, passkey);
    const issued = await begin({ rpId: strict.rpId });
    expect(issued.publicKey.timeout).toBe(60_000);
    expect(issued.publicKey.allowCredentials?.map(({ id }) => id)).not.toContain(credentialId);
    const response = passkey.get(issued.publicKey, strict.origin, { passkey: passkey.newest });
    const refused = await confirm(issued.challengeId, response);
    expect(refused).toMatchObject(makeAuthenticationRejected('backup-state-denied'));
    const named = await begin({ rpId: strict.rpId, purpose: 'transfer' });
    expect(named.publicKey).toMatchObject({ timeout: 300_000, allowCredentials: [{ id: credentialId }] });
    expect((await confirm(named.challengeId, passkey.get(named.publicKey, strict.origin))).status).toBe(200);
  });

  it('demands user verification even where the policy does not', async () => {
    const lenient = await service.relyingParty('lenient.example.com', { userVerification: 'discouraged' });
    const passkey = new Authenticator();
    await lenient.registered(user, passkey);
    const issued = await begin({ rpId: lenient.rpId });
    expect(issued.publicKey.userVerification).toBe('required');
    const response = passkey.get(issued.publicKey, lenient.origin, { flags: { UV: false } });
    expect(await confirm(issued.challengeId, response)).toMatchObject(
      makeAuthenticationRejected('user-verification-missing'),
    );
  });

  it('offers decoys to a user without passkeys, always the same', async () => {
    const [first, second] = [await begin({ userId: 'nobody' }), await begin({ userId: 'nobody' })];
    expect(first.publicKey.allowCredentials).not.toEqual([]);
    expect(second.publicKey.allowCredentials).toEqual(first.publicKey.allowCredentials);
  });

  it.each<[string, object, string]>([
    ['no user', { userId: undefined }, '/userId'],
    ['no transaction', { transaction: undefined }, '/transaction'],
    ['null as a transaction', { transaction: null }, '/transaction'],
    ['a list as a transaction', { transaction: [TRANSACTION] }, '/transaction'],
    ['a text as a transaction', { transaction: JSON.stringify(TRANSACTION) }, '/transaction'],
    ['a number that loses digits', { transaction: { amounts: [2 ** 53] } }, '/transaction'],
    ['a lone surrogate', { transaction: { note: '\ud800' } }, '/transaction'],
    ['more than 16 KiB', { transaction: { note: 'x'.repeat(16_374) } }, '/transaction'],
    ['a purpose with a space', { purpose: 'a b' }, '/purpose'],
    ['hints, which a confirmation does not have', { hints: [] }, '/hints'],
  ])('refuses %s', async (_, members, pointer) => {
    expect(await request(members)).toMatchObject({
      ...makeProblem(400, 'request-malformed'),
      body: { invalid: [expect.objectContaining({ pointer })] },
    });
  });

  it('accepts 16 KiB, and any JSON in it', async () => {
    await begin({ transaction: { note: 'x'.repeat(16_373) } });
    await begin({ transaction: {} });
    await begin({ transaction: { '': null, é: [1e-7, -0, true, { deep: [[[]]] }], '\u0000': '"\\' } });
  });
});

describe('POST /v1/confirmations', () => {
  it('tells who agreed to what, with which passkey', async () => {
    const issued = await begin({ purpose: 'transfer' });
    const confirmed = requireStatus(await confirm(issued.challengeId, answer(issued)), 200);
    expect(confirmed).toMatchObject({
      ...{ verified: true, rpId: login.rpId, userId: user, purpose: 'transfer', digest: DIGEST, userVerified: true },
      ...{ risks: [], credential: { id: credential.id, lastUsedAt: confirmed.verifiedAt } },
    });
  });

  it('gives a receipt with the digest', async () => {
    const issued = await begin({ purpose: 'transfer' });
    const receiptFor = { receipt: { audience: 'https://shop.example' } };
    const { receipt, auditId } = requireStatus(await confirm(issued.challengeId, answer(issued), receiptFor), 200);
    const claims: unknown = JSON.parse(Buffer.from(receipt!.split('.')[1]!, 'base64url').toString());
    expect(claims).toMatchObject({
      jti: auditId,
      purpose: 'transfer',
      ceremony: 'confirmation',
      transaction_digest: DIGEST,
    });
  });

  it('takes the same transaction in another order of its members', async () => {
    const issued = await begin();
    const transaction = Object.fromEntries(Object.entries(TRANSACTION).toReversed());
    expect(await confirm(issued.challengeId, answer(issued), { transaction })).toMatchObject({ status: 200 });
  });

  it.each<[string, object]>([
    ['an amount of another value', { ...TRANSACTION, amount: '2500.00' }],
    ['an amount of another type', { ...TRANSACTION, amount: 250 }],
    ['one member more', { ...TRANSACTION, fee: '0.00' }],
    ['one member less', { kind: 'transfer' }],
    ['null where there was text', { ...TRANSACTION, to: null }],
    ['another nesting', { transaction: TRANSACTION }],
    ['no members', {}],
  ])('refuses a transaction with %s, and spends the challenge', async (_, transaction) => {
    const issued = await begin();
    const response = answer(issued);
    expect(await confirm(issued.challengeId, response, { transaction })).toMatchObject(
      makeAuthenticationRejected('transaction-mismatch'),
    );
    expect(await confirm(issued.challengeId, response)).toMatchObject(SPENT);
    expect(await service.readCredential(credential.id)).toEqual(credential);
  });

  it.each<[string, AssertionInterference, string]>([
    ['of a payment', { clientData: { type: 'payment.get' } }, 'type-mismatch'],
    ['for another challenge', { clientData: { challenge: 'AAAA' } }, 'challenge-mismatch'],
    ['of another page', { clientData: { origin: 'https://evil.example' } }, 'origin-mismatch'],
    ['without user verification', { flags: { UV: false } }, 'user-verification-missing'],
  ])('refuses an answer %s', async (_, interference, reason) => {
    const issued = await begin();
    expect(await confirm(issued.challengeId, answer(issued, interference))).toMatchObject(
      makeAuthenticationRejected(reason),
    );
  });

  it('refuses the passkey of another user, and one that is suspended', async () => {
    const [issued, again] = [await begin(), await begin()];
    const stranger = new Authenticator();
    await login.registered(`${user}-2`, stranger);
    const theirs = stranger.get({ ...issued.publicKey, allowCredentials: [] }, login.origin);
    expect(await confirm(issued.challengeId, theirs)).toMatchObject(
      makeAuthenticationRejected('credential-not-allowed'),
    );
    await service.client.call('auth-service', 'POST', `/v1/credentials/${credential.id}/suspend`, { reason: 'test' });
    expect(await confirm(again.challengeId, answer(again))).toMatchObject(
      makeAuthenticationRejected('credential-suspended'),
    );
  });

  it('has one outcome when the same answer comes 20 times at the same time', async () => {
    const issued = await begin();
    const response = answer(issued);
    const answers = await Promise.all(Array.from({ length: 20 }, () => confirm(issued.challengeId, response)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const other of answers.filter(({ status }) => status !== 200)) expect(other).toMatchObject(SPENT);
  });

  it('ends with the time of its challenge', async () => {
    const issued = await begin();
    const response = answer(issued);
    service.clock.advance(300_000);
    expect(await confirm(issued.challengeId, response)).toMatchObject(SPENT);
  });
});

describe('a challenge for one ceremony is good for no other:', () => {
  const MISMATCH = makeAuthenticationRejected('ceremony-mismatch');

  it('a confirmation signs nobody in', async () => {
    const issued = await begin();
    const response = answer(issued);
    expect(await login.answerAuthentication(issued.challengeId, response)).toMatchObject(MISMATCH);
    expect(await confirm(issued.challengeId, response)).toMatchObject(SPENT);
  });

  it('a sign-in confirms nothing', async () => {
    const { challengeId, publicKey } = requireStatus(await login.requestAuthentication({ userId: user }), 201);
    expect(await confirm(challengeId, authenticator.get(publicKey, login.origin))).toMatchObject(MISMATCH);
  });

  it('neither is good for a registration, and a registration for neither', async () => {
    const created = new Authenticator();
    const registration = requireStatus(await login.requestRegistration(user), 201);
    expect(await confirm(registration.challengeId, answer(await begin()))).toMatchObject(MISMATCH);
    const issued = await begin();
    const response = created.create(registration.publicKey, login.origin);
    expect(await login.answerRegistration(issued.challengeId, response)).toMatchObject({
      status: 422,
      body: { reason: 'ceremony-mismatch' },
    });
  });
});

describe('the audit log', () => {
  const findEvents = async (type: string): Promise<AuditEvent[]> => {
    const path = `/v1/audit/events?type=${type}&userId=${user}`;
    return requireStatus<Page<AuditEvent>>(await service.client.call('auditor', 'GET', path), 200).data;
  };

  it('has an event of each outcome, with the digest and nothing else of the transaction', async () => {
    const [issued, other] = [await begin({ purpose: 'transfer' }), await begin()];
    const { auditId } = requireStatus(await confirm(issued.challengeId, answer(issued)), 200);
    await confirm(other.challengeId, answer(other), { transaction: { to: 'IBAN-OF-A-THIEF' } });
    const [refused, confirmed] = await findEvents('confirmation.verify');
    expect(confirmed).toMatchObject({
      ...{ class_uid: 3002, activity_id: 99, activity_name: 'Confirm', status: 'Success', is_mfa: true },
      metadata: { uid: auditId, event_code: 'confirmation.verify' },
      unmapped: { transaction_digest: DIGEST, purpose: 'transfer', rp_id: login.rpId },
    });
    expect(refused).toMatchObject({
      ...{ status: 'Failure', status_code: 'transaction-mismatch' },
      unmapped: { transaction_digest: DIGEST },
    });
    expect(JSON.stringify([refused, confirmed])).not.toMatch(/IBAN-OF-A-THIEF|DE02120300000000202051|250\.00/);
    expect(await findEvents('credential.verify')).toEqual([]);
  });
});
