import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { digestPayment, normalizePayment, type Payment } from '../src/webauthn/payment-data.js';
import type { AuthenticationResponseJSON } from '../src/webauthn/verify-authentication.js';
import { type VerifiedPayment, verifyPayment } from '../src/webauthn/verify-payment.js';
import { type RegistrationResponseJSON, verifyRegistration } from '../src/webauthn/verify-registration.js';

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`./vectors/chromium-156/${name}.json`, import.meta.url), 'utf8'));

/** The vectors record the challenge only in the client data. */
function readChallenge({ response }: RegistrationResponseJSON | AuthenticationResponseJSON): Buffer {
  const clientData = JSON.parse(Buffer.from(response.clientDataJSON, 'base64url').toString()) as Record<string, string>;
  return Buffer.from(clientData['challenge']!, 'base64url');
}

function register(registration: RegistrationResponseJSON) {
  return verifyRegistration(registration, {
    rpId: 'rp.test',
    origins: ['https://rp.test'],
    crossOrigin: { allow: false, topOrigins: [] },
    challenge: readChallenge(registration),
    requireUserVerification: true,
    conditional: false,
    algorithms: [-7],
    formats: ['none'],
    roots: () => [],
    allowSha1Tpm: false,
    now: new Date('2026-11-20'),
  });
}

interface Answered {
  readonly registration: RegistrationResponseJSON;
  readonly response: AuthenticationResponseJSON;
  readonly sent: Payment;
  readonly caller?: string;
  readonly topOrigins?: readonly string[];
}

function verify({ registration, response, sent, caller = 'https://rp.test', topOrigins }: Answered): VerifiedPayment {
  const { credentialId, publicKey, backupEligible } = register(registration);
  return verifyPayment(response, {
    rpId: 'rp.test',
    challenge: readChallenge(response),
    callerOrigins: [caller],
    topOrigins,
    ...digestPayment(normalizePayment(sent)),
    credential: { credentialId, publicKey, backupEligible },
    allowBackupGrowth: false,
  });
}

describe('the payments of Chromium 156', () => {
  const { registration, assertions } = read('spc') as {
    registration: { response: RegistrationResponseJSON };
    assertions: Record<string, { response: AuthenticationResponseJSON }>;
  };
  const icon = 'https://rp.test/icon.png';
  const merchant = 'https://merchant.test';
  const plain = {
    payeeName: 'Shop',
    payeeOrigin: merchant,
    total: { currency: 'USD', value: '12.50' },
    instrument: { displayName: 'Visa ••1234', icon },
  };
  const withLogo = {
    ...plain,
    instrument: { displayName: 'Visa', icon, details: '**** 1234' },
    paymentEntitiesLogos: [{ url: icon, label: 'Bank' }],
  };

  it.each<[string, string, Payment, string, string[] | undefined, string]>([
    ['on the relying party’s own page', 'assertionFirstParty', plain, 'https://rp.test', undefined, 'https://rp.test'],
    ['with a logo', 'assertionLogos', withLogo, 'https://rp.test', undefined, 'https://rp.test'],
    ['on a merchant’s page', 'assertionThirdParty', plain, merchant, undefined, merchant],
    ['in a frame', 'assertionIframe', plain, 'https://other.test', [merchant], merchant],
  ])('are verified %s', (_, name, sent, caller, topOrigins, topOrigin) => {
    const { response } = assertions[name]!;
    const answered = { registration: registration.response, response, sent, caller };
    const verified = verify({ ...answered, ...(topOrigins && { topOrigins }) });
    const payment = { paymentEntitiesLogos: [], ...sent, rpId: 'rp.test', topOrigin };
    expect(verified).toMatchObject({ callerOrigin: caller, userVerified: true, payment });
    expect(verified.browserBoundKey).toBeUndefined();
  });
});

describe('what Chromium 156 writes for a payment that was sent', () => {
  const { registration, payments } = read('spc-forms') as {
    registration: RegistrationResponseJSON;
    payments: { name: string; sent: Payment; response: AuthenticationResponseJSON }[];
  };

  it.each(payments.map((sample) => [sample.name, sample] as const))('is verified: %s', (_, { sent, response }) => {
    const { payment } = verify({ registration, response, sent });
    expect(payment).toMatchObject({ total: normalizePayment(sent).total });
  });

  it.each([
    ['an icon that was not shown', { instrument: { icon: '' } }],
    [
      'four logos, of which two were left out and one was not shown',
      {
        paymentEntitiesLogos: [
          { url: 'https://rp.test/a.png', label: 'A' },
          { url: '', label: 'B' },
        ],
      },
    ],
  ])('says what the user did not see: %s', (name, shown) => {
    const { sent, response } = payments.find((sample) => sample.name === name)!;
    expect(verify({ registration, response, sent }).payment).toMatchObject(shown);
  });
});
