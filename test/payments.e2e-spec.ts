import { hash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { AssertionInterference } from './support/authenticator/interference.js';
import {
  type AuditEvent,
  type Credential,
  makeAuthenticationRejected,
  makePolicyRejected,
  makeProblem,
  type Page,
} from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { PAYMENT, PaymentCeremonies, type PaymentChallenge, SHOP, showPayment } from './support/payment-ceremonies.js';
import { TestService } from './support/service.js';

const SPENT = makeProblem(409, 'challenge-spent');
const PSP = 'https://psp.example';
const ICON = PAYMENT.instrument.icon;
const LOGOS = ['Bank', 'Network'].map((label) => ({ url: `https://login.example.com/${label}.png`, label }));

type Members = Record<string, unknown>;

let service: TestService;
let login: Ceremonies<string>;
let authenticator: Authenticator;
let credential: Credential;
let user: string;
let payments: PaymentCeremonies<string>;
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
  payments = new PaymentCeremonies(service.client, 'auth-service', login.rpId, user);
});

const answer = (issued: PaymentChallenge, payment: Members = {}, interference: AssertionInterference = {}) =>
  showPayment(issued, authenticator, { payment, interference });

describe('POST /v1/challenges/payment', () => {
  it('returns what new PaymentRequest() takes', async () => {
    const { methodData, details } = await payments.begin({ paymentEntitiesLogos: LOGOS });
    expect(methodData).toMatchObject({
      supportedMethods: 'secure-payment-confirmation',
      data: {
        ...{ rpId: login.rpId, credentialIds: [credential.credentialId], timeout: 300_000 },
        ...{ payeeName: 'Shop', payeeOrigin: SHOP, instrument: PAYMENT.instrument, paymentEntitiesLogos: LOGOS },
      },
    });
    expect(JSON.stringify(methodData)).not.toMatch(/callerOrigins|topOrigins/);
    expect(details.total.amount).toEqual(PAYMENT.total);
  });

  it('follows the purpose pay, which no payment makes younger', async () => {
    const put = (purposes: object) => service.relyingParty(login.rpId, { purposes });
    await put({ pay: { maxAgeSeconds: 600 } });
    expect(await payments.request({})).toMatchObject(makePolicyRejected('sign-in-too-old'));
    service.clock.freeze();
    await login.authenticated(authenticator);
    service.clock.advance(500);
    const issued = await payments.begin();
    requireStatus(await payments.confirm(issued.challengeId, answer(issued)), 200);
    service.clock.advance(101);
    expect(await payments.request({})).toMatchObject(makePolicyRejected('sign-in-too-old'));
    service.clock.reset();
    await put({});
  });

  it('offers decoys to a user without passkeys, always the same', async () => {
    const issue = async () => requireStatus(await payments.request({}, { userId: 'nobody' }), 201);
    const [first, second] = [await issue(), await issue()];
    expect(first.methodData.data.credentialIds).not.toEqual([]);
    expect(second.methodData.data.credentialIds).toEqual(first.methodData.data.credentialIds);
  });

  it.each<[string, object, string]>([
    ['no total', { total: undefined }, '/payment/total'],
    ['an amount that is a number', { total: { currency: 'EUR', value: 12.5 } }, '/payment/total/value'],
    ['a negative amount', { total: { currency: 'EUR', value: '-1.00' } }, '/payment/total/value'],
    ['an amount with a comma', { total: { currency: 'EUR', value: '12,50' } }, '/payment/total/value'],
    ['a currency of four letters', { total: { currency: 'EURO', value: '1' } }, '/payment/total/currency'],
    ['no instrument', { instrument: undefined }, '/payment/instrument'],
    ['an icon over http', { instrument: { displayName: 'x', icon: 'http://a.example/' } }, '/payment/instrument/icon'],
    ['an icon that is no URL', { instrument: { displayName: 'x', icon: 'card.png' } }, '/payment/instrument/icon'],
    [
      'a script as an icon',
      { instrument: { displayName: 'x', icon: 'javascript:alert(1)' } },
      '/payment/instrument/icon',
    ],
    [
      'an icon with a password',
      { instrument: { displayName: 'x', icon: 'https://u:p@a.example/' } },
      '/payment/instrument/icon',
    ],
    ['a payee whose name turns the text around', { payeeName: 'Shop \u202e50.21' }, '/payment/payeeName'],
    [
      'a card whose name is isolated',
      { instrument: { displayName: '\u2066x', icon: ICON } },
      '/payment/instrument/displayName',
    ],
    [
      'details that turn around',
      { instrument: { displayName: 'x', icon: ICON, details: '\u202dx' } },
      '/payment/instrument/details',
    ],
    ['a payee over http', { payeeOrigin: 'http://shop.example' }, '/payment/payeeOrigin'],
    ['a payee with a path', { payeeOrigin: `${SHOP}/` }, '/payment/payeeOrigin'],
    ['no caller', { callerOrigins: [] }, '/payment/callerOrigins'],
    ['a caller that is no origin', { callerOrigins: ['shop.example'] }, '/payment/callerOrigins/0'],
    ['a logo without a label', { paymentEntitiesLogos: [{ url: ICON }] }, '/payment/paymentEntitiesLogos/0/label'],
    ['logos that are no objects', { paymentEntitiesLogos: [ICON] }, '/payment/paymentEntitiesLogos/0'],
    [
      'an empty name of the instrument',
      { instrument: { displayName: '', icon: ICON } },
      '/payment/instrument/displayName',
    ],
    ['an empty icon', { instrument: { displayName: 'x', icon: '' } }, '/payment/instrument/icon'],
    ['empty details', { instrument: { displayName: 'x', icon: ICON, details: '' } }, '/payment/instrument/details'],
    ['an empty payee', { payeeName: '' }, '/payment/payeeName'],
    [
      'a logo with an empty label',
      { paymentEntitiesLogos: [{ url: ICON, label: '' }] },
      '/payment/paymentEntitiesLogos/0/label',
    ],
    [
      'a logo with an empty URL',
      { paymentEntitiesLogos: [{ url: '', label: 'x' }] },
      '/payment/paymentEntitiesLogos/0/url',
    ],
    ['an unknown member', { merchant: 'Shop' }, '/payment/merchant'],
    [
      'more than a challenge can hold',
      {
        callerOrigins: Array.from({ length: 8 }, (_, at) => `https://${`${'a'.repeat(60)}.`.repeat(4)}x${String(at)}`),
        topOrigins: Array.from({ length: 8 }, (_, at) => `https://${`${'b'.repeat(60)}.`.repeat(4)}x${String(at)}`),
      },
      '/payment',
    ],
    [
      'images that no answer can hold',
      {
        instrument: { displayName: 'x', icon: `data:image/png;base64,${'A'.repeat(20_000)}` },
        paymentEntitiesLogos: [{ url: `data:image/png;base64,${'B'.repeat(20_000)}`, label: 'x' }],
      },
      '/payment',
    ],
    [
      'an icon that is too long as a browser writes it',
      { instrument: { displayName: 'x', icon: `https://a.example/${'"'.repeat(11_000)}` } },
      '/payment/instrument/icon',
    ],
  ])('refuses %s', async (_, payment, pointer) => {
    expect(await payments.request(payment)).toMatchObject({
      ...makeProblem(400, 'request-malformed'),
      body: { invalid: expect.arrayContaining([expect.objectContaining({ pointer })]) },
    });
  });

  it('sends what a browser will write, and expects that', async () => {
    const issued = await payments.begin({
      total: { currency: 'eur', value: '12.50' },
      instrument: { displayName: 'Card', icon: 'https://Login.Example.com' },
    });
    const written = {
      total: { currency: 'EUR', value: '12.50' },
      instrument: { displayName: 'Card', icon: 'https://login.example.com/' },
    };
    expect(issued).toMatchObject({
      methodData: { data: { instrument: written.instrument } },
      details: { total: { amount: written.total } },
    });
    expect(await payments.confirm(issued.challengeId, answer(issued, written))).toMatchObject({ status: 200 });
  });

  it('takes long images, because the challenge holds their digests', async () => {
    const icon = `data:image/png;base64,${'A'.repeat(32_746)}`;
    const shown = {
      instrument: { displayName: 'Card', icon },
      paymentEntitiesLogos: [{ url: `data:image/png;base64,${'B'.repeat(3_800)}`, label: 'Bank' }],
    };
    const issued = await payments.begin(shown);
    const { payment } = requireStatus(await payments.confirm(issued.challengeId, answer(issued, shown)), 200);
    expect(payment).toMatchObject(shown);
  });
});

describe('POST /v1/payments', () => {
  it('tells who agreed to pay what, to whom, and on which page', async () => {
    const issued = await payments.begin({ paymentEntitiesLogos: LOGOS });
    const response = answer(issued, { paymentEntitiesLogos: LOGOS.slice(1) });
    const confirmed = requireStatus(await payments.confirm(issued.challengeId, response), 200);
    expect(confirmed).toMatchObject({
      ...{ verified: true, rpId: login.rpId, userId: user, purpose: null, userVerified: true, risks: [] },
      digest: issued.digest,
      payment: {
        ...{ total: PAYMENT.total, payeeName: 'Shop', payeeOrigin: SHOP, callerOrigin: SHOP, topOrigin: SHOP },
        instrument: PAYMENT.instrument,
        paymentEntitiesLogos: LOGOS.slice(1),
      },
      credential: { id: credential.id },
    });
  });

  it.each<[string, Members, string]>([
    ['another amount', { total: { currency: 'EUR', value: '125.0' } }, 'payment.total.value'],
    ['an amount of the same value in other text', { total: { currency: 'EUR', value: '12.5' } }, 'payment.total.value'],
    ['another currency', { total: { currency: 'USD', value: '12.50' } }, 'payment.total.currency'],
    ['another payee', { payeeName: 'Thief' }, 'payment.payeeName'],
    ['no payee', { payeeName: undefined }, 'payment.payeeName'],
    ['another card', { instrument: { displayName: 'Other', icon: ICON } }, 'payment.instrument.displayName'],
    ['another icon', { instrument: { ...PAYMENT.instrument, icon: `${ICON}?` } }, 'payment.instrument.icon'],
    ['a logo that was not sent', { paymentEntitiesLogos: [{ url: ICON, label: 'x' }] }, 'payment.paymentEntitiesLogos'],
    ['another page', { topOrigin: PSP }, 'payment.topOrigin'],
    ['another relying party', { rpId: 'example.com' }, 'payment.rpId'],
  ])('refuses %s, and names the member', async (_, payment, member) => {
    const issued = await payments.begin();
    const refused = await payments.confirm(issued.challengeId, answer(issued, payment));
    expect(refused).toMatchObject({ ...makeAuthenticationRejected('payment-mismatch'), body: { member } });
    expect(await payments.confirm(issued.challengeId, answer(issued))).toMatchObject(SPENT);
    expect(await service.readCredential(credential.id)).toEqual(credential);
  });

  it.each<[string, AssertionInterference, string]>([
    ['on another page than the caller’s', { clientData: { origin: PSP } }, 'origin-mismatch'],
    ['on the relying party’s own page', { clientData: { origin: 'https://login.example.com' } }, 'origin-mismatch'],
    ['in a frame of another page', { clientData: { crossOrigin: true, topOrigin: PSP } }, 'cross-origin-denied'],
    ['of another challenge', { clientData: { challenge: 'AAAA' } }, 'challenge-mismatch'],
    ['without user verification', { flags: { UV: false } }, 'user-verification-missing'],
    ['for another relying party', { rpId: 'example.com' }, 'rp-id-mismatch'],
  ])('refuses an answer %s', async (_, interference, reason) => {
    const issued = await payments.begin();
    expect(await payments.confirm(issued.challengeId, answer(issued, {}, interference))).toMatchObject(
      makeAuthenticationRejected(reason),
    );
  });

  it('gives a receipt with the digest, for an audience that the access policy grants', async () => {
    const issued = await payments.begin();
    const response = answer(issued);
    const refused = await payments.confirm(issued.challengeId, response, {
      receipt: { audience: 'https://other.example' },
    });
    expect(refused).toMatchObject(makeProblem(403, 'permission-denied'));
    const { receipt, auditId } = requireStatus(
      await payments.confirm(issued.challengeId, response, { receipt: { audience: SHOP } }),
      200,
    );
    const claims: unknown = JSON.parse(Buffer.from(receipt!.split('.')[1]!, 'base64url').toString());
    expect(claims).toMatchObject({
      aud: SHOP,
      sub: user,
      jti: auditId,
      ceremony: 'payment',
      transaction_digest: issued.digest,
      uv: true,
    });
  });

  it('takes the frame of a payment service provider in a page that was named', async () => {
    const issued = await payments.begin({ callerOrigins: [PSP], topOrigins: [SHOP] });
    const framed = { clientData: { origin: PSP, crossOrigin: true, topOrigin: SHOP } };
    expect(await payments.confirm(issued.challengeId, answer(issued, {}, framed))).toMatchObject({
      status: 200,
      body: { payment: { callerOrigin: PSP, topOrigin: SHOP } },
    });
  });

  it('refuses a passkey that was not offered, also if it is the user’s', async () => {
    const issued = await payments.begin();
    const later = new Authenticator();
    const second = await login.registered(user, later);
    authenticator = later;
    issued.methodData.data.credentialIds = [second.credentialId];
    expect(await payments.confirm(issued.challengeId, answer(issued))).toMatchObject(
      makeAuthenticationRejected('credential-not-allowed'),
    );
  });
});

describe('a challenge for one ceremony is good for no other:', () => {
  const MISMATCH = makeAuthenticationRejected('ceremony-mismatch');
  const TYPE = makeAuthenticationRejected('type-mismatch');
  const signInChallenge = async () => requireStatus(await login.requestAuthentication({ userId: user }), 201);

  it('the challenge of a payment signs nobody in, by neither kind of assertion', async () => {
    for (const type of ['payment.get', 'webauthn.get']) {
      const issued = await payments.begin();
      const response = answer(issued, {}, { clientData: { type, origin: login.origin } });
      expect(await login.answerAuthentication(issued.challengeId, response)).toMatchObject(MISMATCH);
    }
  });

  it('the challenge of a sign-in pays nothing, by neither kind of assertion', async () => {
    for (const type of ['payment.get', 'webauthn.get']) {
      const { challengeId, publicKey } = await signInChallenge();
      const response = authenticator.get(publicKey, SHOP, { clientData: { type } });
      expect(await payments.confirm(challengeId, response)).toMatchObject(MISMATCH);
    }
  });

  it('an assertion for a payment signs nobody in, even by the challenge of a sign-in', async () => {
    const { challengeId, publicKey } = await signInChallenge();
    const response = authenticator.get(publicKey, login.origin, { clientData: { type: 'payment.get' } });
    expect(await login.answerAuthentication(challengeId, response)).toMatchObject(TYPE);
  });

  it('an assertion for a sign-in pays nothing, even by the challenge of a payment', async () => {
    const issued = await payments.begin();
    const response = answer(issued, {}, { clientData: { type: 'webauthn.get' } });
    expect(await payments.confirm(issued.challengeId, response)).toMatchObject(TYPE);
  });

  it('nor does a confirmation pay, or a payment confirm', async () => {
    const issued = await payments.begin();
    const transaction = { to: 'x' };
    const body = { challengeId: issued.challengeId, response: answer(issued), transaction };
    expect(await service.client.call('auth-service', 'POST', '/v1/confirmations', body)).toMatchObject(MISMATCH);
    const { challengeId, publicKey } = requireStatus(
      await service.client.call<{ challengeId: string; publicKey: never }>(
        ...(['auth-service', 'POST', '/v1/challenges/confirmation'] as const),
        { rpId: login.rpId, userId: user, transaction },
      ),
      201,
    );
    expect(await payments.confirm(challengeId, authenticator.get(publicKey, SHOP))).toMatchObject(MISMATCH);
  });
});

describe('the audit log', () => {
  it('has the digests by which a stored answer can be checked, and nothing of the payment', async () => {
    const issued = await payments.begin();
    const response = answer(issued);
    const { auditId } = requireStatus(await payments.confirm(issued.challengeId, response), 200);
    const path = `/v1/audit/events?type=payment.verify&userId=${user}`;
    const { data } = requireStatus<Page<AuditEvent>>(await service.client.call('auditor', 'GET', path), 200);
    const digest = (encoded: string): string => hash('sha256', Buffer.from(encoded, 'base64url'), 'base64url');
    expect(data).toMatchObject([
      {
        ...{ class_uid: 3002, activity_name: 'Confirm', status: 'Success' },
        metadata: { uid: auditId },
        unmapped: {
          transaction_digest: issued.digest,
          client_data_hash: digest(response.response.clientDataJSON),
          authenticator_data_hash: digest(response.response.authenticatorData),
          signature_hash: digest(response.response.signature),
        },
      },
    ]);
    expect(JSON.stringify(data)).not.toMatch(/12\.50|Debit card|shop\.example/);
  });

  it.each<[string, object, AssertionInterference]>([
    ['page', {}, { clientData: { origin: PSP } }],
    ['top page', { topOrigins: [SHOP] }, { clientData: { crossOrigin: true, topOrigin: PSP } }],
  ])('names neither the expected nor the other %s of a refused payment', async (_, members, interference) => {
    const issued = await payments.begin(members);
    const refused = await payments.confirm(issued.challengeId, answer(issued, {}, interference));
    expect(refused.status).toBe(422);
    const path = `/v1/audit/events?type=payment.verify&userId=${user}`;
    const { data } = requireStatus<Page<AuditEvent>>(await service.client.call('auditor', 'GET', path), 200);
    expect(data).toHaveLength(1);
    expect(JSON.stringify([refused.body, data])).not.toMatch(/shop\.example|psp\.example/);
  });
});
