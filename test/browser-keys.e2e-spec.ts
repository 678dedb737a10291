import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type CredentialKey, generateKey } from './support/authenticator/keys.js';
import {
  type AuditEvent,
  type Credential,
  makeAuthenticationRejected,
  makeProblem,
  type Page,
  type Problem,
} from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { PaymentCeremonies, type PaymentConfirmation, showPayment } from './support/payment-ceremonies.js';
import { TestService } from './support/service.js';

/* The keys follow the specification (SPC §6). No real device has made one of them. */

interface BrowserKey {
  thumbprint: string;
  state: string;
  addedAt: string;
  changedAt: string;
}

const [PHONE, TABLET] = [generateKey('ES256'), generateKey('ES256')];
const DENIED = makeAuthenticationRejected('browser-key-denied');

let service: TestService;
let authenticator: Authenticator;
let credential: Credential;
let payments: PaymentCeremonies<string>;
let users = 0;

beforeAll(async () => {
  service = await TestService.start();
});
afterAll(() => service.stop());

/** Every test has a user with one passkey, at a relying party that accepts unknown keys. */
beforeEach(() => enrol('accept'));

async function enrol(unknown: 'accept' | 'step-up' | 'refuse'): Promise<void> {
  const login = await service.relyingParty(`${unknown}.example.com`, { browserKeys: { unknown } });
  authenticator = new Authenticator();
  const user = `user-${String((users += 1))}`;
  credential = await login.registered(user, authenticator);
  payments = new PaymentCeremonies(service.client, 'auth-service', login.rpId, user);
}

const pay = (key?: CredentialKey): Promise<Answer<PaymentConfirmation>> => payments.pay(authenticator, key);
const paid = async (key?: CredentialKey): Promise<PaymentConfirmation> => requireStatus(await pay(key), 200);
const toOutcome = ({ browserKey, risks }: PaymentConfirmation) => [browserKey?.state, risks];
const path = (): string => `/v1/credentials/${credential.id}/browser-keys`;
const list = async (): Promise<BrowserKey[]> =>
  requireStatus<{ data: BrowserKey[] }>(await service.client.call('auth-service', 'GET', path()), 200).data;
const change = (thumbprint: string, verb: 'trust' | 'revoke', body: unknown = { reason: 'called' }) =>
  service.client.call<BrowserKey & Problem>('auth-service', 'POST', `${path()}/${thumbprint}/${verb}`, body);

describe('a payment with a browser-bound key', () => {
  it('says that a key is new, and later that it is trusted', async () => {
    const first = await paid(PHONE);
    expect(toOutcome(first)).toEqual(['new', ['browser-key-new']]);
    expect(toOutcome(await paid(PHONE))).toEqual(['trusted', []]);
    expect(toOutcome(await paid(TABLET))).toEqual(['new', ['browser-key-new']]);
    const { thumbprint } = first.browserKey!;
    expect(await list()).toMatchObject([{ thumbprint, state: 'trusted' }, { state: 'trusted' }]);
  });

  it('flags a browser without a key once there was a trusted one', async () => {
    expect(toOutcome(await paid())).toEqual([undefined, []]);
    await paid(PHONE);
    expect(await paid()).toMatchObject({ browserKey: null, risks: ['browser-key-absent'] });
  });

  it('is counted for operators while its device is not trusted', async () => {
    const counted = () => service.readMetric('passkey_browser_key_risks_total');
    const before = await counted();
    await paid(PHONE);
    expect(await counted()).toBe(before + 1);
    await paid(PHONE);
    expect(await counted()).toBe(before + 1);
    await paid();
    expect(await counted()).toBe(before + 2);
  });

  it('is refused if another key has signed', async () => {
    const issued = await payments.begin();
    const { clientExtensionResults } = showPayment(issued, authenticator, { browserKey: TABLET });
    const response = { ...showPayment(issued, authenticator, { browserKey: PHONE }), clientExtensionResults };
    expect(await payments.confirm(issued.challengeId, response)).toMatchObject(
      makeAuthenticationRejected('browser-key-invalid'),
    );
    expect(await list()).toEqual([]);
  });

  it('waits for a step-up where the policy says so, until the caller trusts the key', async () => {
    await enrol('step-up');
    const { browserKey } = await paid(PHONE);
    expect(toOutcome(await paid(PHONE))).toEqual(['untrusted', ['browser-key-new']]);
    expect(await change(browserKey!.thumbprint, 'trust')).toMatchObject({ status: 200, body: { state: 'trusted' } });
    expect(toOutcome(await paid(PHONE))).toEqual(['trusted', []]);
  });

  it('is refused where the policy says so, and so is a browser without a key', async () => {
    await enrol('refuse');
    expect(toOutcome(await paid(PHONE))).toEqual(['new', ['browser-key-new']]);
    expect(await pay(TABLET)).toMatchObject(DENIED);
    expect(await pay()).toMatchObject(DENIED);
    expect(toOutcome(await paid(PHONE))).toEqual(['trusted', []]);
  });

  it('remembers each of ten keys that come at the same time', async () => {
    const keys = Array.from({ length: 10 }, () => generateKey('ES256'));
    const answers = await Promise.all(keys.map((key) => pay(key)));
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
    expect(await list()).toHaveLength(10);
  });

  it('waits for a step-up, however many payments come with it at the same time', async () => {
    await enrol('step-up');
    const answers = await Promise.all(Array.from({ length: 8 }, () => pay(PHONE)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
    expect(await list()).toMatchObject([{ state: 'untrusted' }]);
  });

  it('is not remembered if the payment is refused for its sign count', async () => {
    await enrol('refuse');
    const login = service.ceremonies(payments.rpId);
    authenticator = new Authenticator({ counts: true });
    credential = await login.registered(payments.userId, authenticator);
    await login.authenticated(authenticator, { interference: { signCount: 50 } });
    const issued = await payments.begin();
    const cloned = showPayment(issued, authenticator, { browserKey: TABLET, interference: { signCount: 5 } });
    expect(await payments.confirm(issued.challengeId, cloned)).toMatchObject(
      makeAuthenticationRejected('sign-count-regressed'),
    );
    expect(await list()).toEqual([]);
  });

  it('is not remembered if the challenge is spent', async () => {
    const issued = await payments.begin();
    requireStatus(await payments.confirm(issued.challengeId, showPayment(issued, authenticator)), 200);
    const again = showPayment(issued, authenticator, { browserKey: PHONE });
    expect(await payments.confirm(issued.challengeId, again)).toMatchObject(makeProblem(409, 'challenge-spent'));
    expect(await list()).toEqual([]);
  });

  it('does not change what a sign-in sees', async () => {
    await paid(PHONE);
    const login = service.ceremonies('accept.example.com');
    const { credential: shown } = await login.authenticated(authenticator);
    expect(shown).not.toHaveProperty('browserKeys');
  });
});

describe('a browser-bound key', () => {
  it('that is revoked pays nothing, and is never trusted again', async () => {
    const { thumbprint } = (await paid(PHONE)).browserKey!;
    expect(await change(thumbprint, 'revoke')).toMatchObject({ status: 200, body: { thumbprint, state: 'revoked' } });
    expect(await pay(PHONE)).toMatchObject(DENIED);
    for (const verb of ['trust', 'revoke'] as const)
      expect(await change(thumbprint, verb)).toMatchObject(makeProblem(409, 'credential-state'));
  });

  it('is not found if the passkey has none of the thumbprint, or is unknown', async () => {
    expect(await change('A'.repeat(43), 'revoke')).toMatchObject(makeProblem(404, 'not-found'));
    credential.id = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';
    expect(await change('A'.repeat(43), 'revoke')).toMatchObject(makeProblem(404, 'credential-unknown'));
    expect(await service.client.call('auth-service', 'GET', path())).toMatchObject(
      makeProblem(404, 'credential-unknown'),
    );
  });

  it('has a thumbprint of 43 characters, and a change of it a reason', async () => {
    expect(await change('A', 'trust')).toMatchObject(makeProblem(400, 'request-malformed'));
    expect(await change('A'.repeat(43), 'trust', {})).toMatchObject(makeProblem(400, 'request-malformed'));
  });

  it('has events of what became of it', async () => {
    const { thumbprint } = (await paid(PHONE)).browserKey!;
    await change(thumbprint, 'revoke', { reason: 'phone was stolen' });
    const events = `/v1/audit/events?credentialId=${credential.credentialId}`;
    const { data } = requireStatus<Page<AuditEvent>>(await service.client.call('auditor', 'GET', events), 200);
    const told = data.map(({ metadata, unmapped }) => [
      metadata.event_code,
      ...[unmapped?.['browser_key'], unmapped?.['browser_key_state'], unmapped?.['credential_version']],
    ]);
    expect(told.slice(0, 2)).toEqual([
      ['browser-key.revoke', thumbprint, 'revoked', 3],
      ['payment.verify', thumbprint, 'new', 2],
    ]);
    expect(data[1]?.unmapped).toMatchObject({ browser_key_remembered: 'trusted' });
  });

  it('that SQL made trusted makes the passkey fail its integrity check', async () => {
    await enrol('step-up');
    await paid(PHONE);
    await service.sql(
      `UPDATE credential SET browser_keys = replace(browser_keys, 'untrusted', 'trusted') WHERE id = $1`,
      [credential.id],
    );
    expect(await pay(PHONE)).toMatchObject(makeAuthenticationRejected('credential-unknown'));
  });
});
