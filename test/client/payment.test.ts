import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toPaymentAnswer, toPaymentRequest } from '@passkey-manager/client/payment';
import { makePaymentOptions } from '../../src/webauthn/payment-options.js';
import { verifyPayment } from '../../src/webauthn/verify-payment.js';
import { generateKey } from '../support/authenticator/keys.js';
import { answerPayment, PAYMENT, RP_ID } from '../support/pure-payments.js';

const toBuffer = (base64url: string): ArrayBuffer => Uint8Array.from(Buffer.from(base64url, 'base64url')).buffer;

await describe('the arguments of a PaymentRequest', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const options = makePaymentOptions({
    rpId: RP_ID,
    challenge: bytes,
    credentialIds: [Buffer.from([0xfb, 0xff]), Buffer.from([1])],
    payment: PAYMENT,
    ttlSeconds: 300,
  });

  await it('are those of the service, with bytes for its base64url', () => {
    const [[methodData], details] = toPaymentRequest(options);
    assert.deepEqual(details, { total: { label: 'Total', amount: PAYMENT.total } });
    assert.deepEqual(methodData, {
      supportedMethods: 'secure-payment-confirmation',
      data: {
        ...options.methodData.data,
        challenge: new Uint8Array(bytes),
        credentialIds: [Uint8Array.of(0xfb, 0xff), Uint8Array.of(1)],
      },
    });
  });

  await it('leave the challenge of the service as it is', () => {
    const before = structuredClone(options);
    toPaymentRequest(options);
    assert.deepEqual(options, before);
  });
});

await describe('the answer to a payment', async () => {
  /** A PaymentResponse as a browser has it. */
  const toResponse = ({ answer }: ReturnType<typeof answerPayment>) => {
    const { clientDataJSON, authenticatorData, signature, userHandle } = answer.response;
    const outputs = answer.clientExtensionResults as {
      payment?: { browserBoundSignature: { signature: string } };
    };
    const bound = outputs.payment?.browserBoundSignature.signature;
    const details = {
      id: answer.id,
      rawId: toBuffer(answer.rawId),
      authenticatorAttachment: 'platform',
      response: {
        clientDataJSON: toBuffer(clientDataJSON),
        authenticatorData: toBuffer(authenticatorData),
        signature: toBuffer(signature),
        userHandle: userHandle === undefined ? null : toBuffer(userHandle),
      },
      getClientExtensionResults: () => ({
        appid: true,
        lists: [[1, 'text', null]],
        payment: bound === undefined ? {} : { browserBoundSignature: { signature: toBuffer(bound) } },
      }),
      toJSON: () => assert.fail('toJSON() leaves out what the browser-bound key signed'),
    };
    return { details };
  };

  await it('has the signature of a browser-bound key, and is verified', () => {
    const browserKey = generateKey('ES256');
    const answered = answerPayment({ browserKey });
    const answer = toPaymentAnswer(toResponse(answered));
    assert.deepEqual(answer, {
      ...answered.answer,
      clientExtensionResults: { appid: true, lists: [[1, 'text', null]], ...answered.answer.clientExtensionResults },
    });
    const { browserBoundKey } = verifyPayment(answer, answered.expected);
    assert.deepEqual(browserBoundKey?.publicKey, browserKey.cose);
  });

  await it('says null for a user handle that the authenticator does not return', () => {
    const answered = answerPayment({ interference: { userHandle: null } });
    assert.equal(toPaymentAnswer(toResponse(answered)).response.userHandle, null);
  });

  await it('is JSON', () => {
    const answer = toPaymentAnswer(toResponse(answerPayment()));
    assert.deepEqual(JSON.parse(JSON.stringify(answer)), answer);
  });
});
