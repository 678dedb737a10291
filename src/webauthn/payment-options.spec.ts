import { describe, expect, it } from '@jest/globals';
import { PAYMENT, RP_ID } from '../../test/support/pure-payments.js';
import type { Payment } from './payment-data.js';
import { makePaymentOptions } from './payment-options.js';

const CHALLENGE = Buffer.alloc(32, 0xfb);
const make = (payment: Payment = PAYMENT) =>
  makePaymentOptions({
    rpId: RP_ID,
    challenge: CHALLENGE,
    credentialIds: [Buffer.alloc(16, 1), Buffer.alloc(16, 0xff)],
    payment,
    ttlSeconds: 300,
  });

describe('the options of a payment', () => {
  it('are the arguments of PaymentRequest, with binary members as base64url', () => {
    const { total, ...shown } = PAYMENT;
    expect(make()).toEqual({
      methodData: {
        supportedMethods: 'secure-payment-confirmation',
        data: {
          challenge: '-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s',
          rpId: RP_ID,
          credentialIds: ['AQEBAQEBAQEBAQEBAQEBAQ', '_____________________w'],
          ...shown,
          timeout: 300_000,
          browserBoundPubKeyCredParams: [
            { type: 'public-key', alg: -7 },
            { type: 'public-key', alg: -257 },
          ],
        },
      },
      details: { total: { label: 'Total', amount: total } },
    });
  });

  it('have no member that was not sent: a browser takes null as text', () => {
    const text = JSON.stringify(make({ total: PAYMENT.total, instrument: PAYMENT.instrument }));
    expect(text).not.toMatch(/payee|Logos|null/);
  });
});
