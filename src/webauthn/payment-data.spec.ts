import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { expectRefusal } from '../../test/support/pure-ceremonies.js';
import { PAYMENT, type PaymentVariation, RP_ID, runPayment, SHOP } from '../../test/support/pure-payments.js';
import { digestPayment, normalizePayment, type Payment } from './payment-data.js';
import type { PaymentMember } from './refusal.js';

type Shown = Record<string, unknown>;
type Change = [what: string, change: (honest: Shown) => unknown];

/** Tells that each change of the shown payment is refused, and which member the refusal names. */
const refuses = (member: PaymentMember, changes: Change[]): void => {
  it.each(changes)(`rejects ${member} that is %s: payment-mismatch`, async (_, shown) => {
    await expect(runPayment({ shown })).rejects.toMatchObject({ name: 'Refusal', reason: 'payment-mismatch', member });
  });
};

const quote = (value: unknown): string => (value === undefined ? 'absent' : JSON.stringify(value));
const member =
  (name: string, value: unknown) =>
  (honest: Shown): Shown => ({ ...honest, [name]: value });
const inner =
  (name: string, key: string, value: unknown) =>
  (honest: Shown): Shown => ({ ...honest, [name]: { ...(honest[name] as object), [key]: value } });
const each = (values: unknown[], change: (value: unknown) => (honest: Shown) => unknown) =>
  values.map((value): Change => [quote(value), change(value)]);

const PSP = 'https://psp.example';
const FRAMED = { origin: PSP, crossOrigin: true, topOrigin: SHOP };
const IN_FRAME = { callerOrigins: [PSP], topOrigins: [SHOP, 'https://other.example'] };
const without = <Key extends keyof Payment>(...keys: Key[]): Omit<typeof PAYMENT, Key> =>
  Object.fromEntries(Object.entries(PAYMENT).filter(([key]) => !keys.includes(key as Key))) as never;

describe('SPC §9.1 Verifying an Authentication Assertion', () => {
  describe('SPC §9.1 step 2.5.1: payment.rpId is the RP ID', () => {
    refuses(
      'payment',
      each([undefined, null, 1, true, 'payment', [], [{}]], (value) => () => value),
    );
    refuses(
      'payment.rpId',
      each([undefined, null, 1, '', 'shop.example', 'Bank.example', 'https://bank.example', [RP_ID]], (value) =>
        member('rpId', value),
      ),
    );
    it('accepts the older name rp beside it', () => runPayment({ shown: member('rp', RP_ID) }));
    refuses(
      'payment.rp',
      each(['shop.example', '', null, [RP_ID]], (value) => member('rp', value)),
    );
    refuses('payment.rpId', [['the older name alone', (honest) => ({ ...honest, rpId: undefined, rp: RP_ID })]]);
  });

  describe('SPC §9.1 step 2.5.2: payment.topOrigin is the expected top page', () => {
    refuses(
      'payment.topOrigin',
      each([undefined, null, 1, '', PSP, `${SHOP}/`, [SHOP]], (value) => member('topOrigin', value)),
    );
    it.each<[string, PaymentVariation]>([
      ['a caller that is the top page, which is not expected', { expected: { topOrigins: [PSP] } }],
      ['a top page where none is expected', { expected: { topOrigins: [] } }],
      [
        'another top page than topOrigin, though both are expected',
        {
          interference: { clientData: FRAMED },
          expected: IN_FRAME,
          shown: member('topOrigin', 'https://other.example'),
        },
      ],
    ])('rejects %s: payment-mismatch', async (_, variation) => {
      await expect(runPayment(variation)).rejects.toMatchObject({
        reason: 'payment-mismatch',
        member: 'payment.topOrigin',
      });
    });
    it('accepts a frame of an expected page', async () => {
      const payment = await runPayment({ interference: { clientData: FRAMED }, expected: IN_FRAME });
      expect(payment).toMatchObject({ callerOrigin: PSP, payment: { topOrigin: SHOP } });
    });
    it('accepts a caller that is one of the expected top pages itself', () =>
      runPayment({ expected: { topOrigins: [PSP, SHOP] } }));
  });

  describe('SPC §9.1 step 2.5.3: payment.payeeName is the payee’s, and absent where none was sent', () => {
    refuses(
      'payment.payeeName',
      each([undefined, null, '', 'shop', 'Shop ', ['Shop']], (value) => member('payeeName', value)),
    );
    it.each(['Shop', '', null])('rejects %j where none was sent: payment-mismatch', async (payeeName) => {
      const shown = member('payeeName', payeeName);
      await expect(runPayment({ sent: without('payeeName'), shown })).rejects.toMatchObject({
        member: 'payment.payeeName',
      });
    });
    it('accepts none', async () => {
      expect((await runPayment({ sent: without('payeeName') })).payment).not.toHaveProperty('payeeName');
    });
  });

  describe('SPC §9.1 step 2.5.4: payment.payeeOrigin is the payee’s, and absent where none was sent', () => {
    refuses(
      'payment.payeeOrigin',
      each([undefined, null, '', PSP, `${SHOP}/`, [SHOP]], (value) => member('payeeOrigin', value)),
    );
    it.each([SHOP, '', null])('rejects %j where none was sent: payment-mismatch', async (payeeOrigin) => {
      const shown = member('payeeOrigin', payeeOrigin);
      await expect(runPayment({ sent: without('payeeOrigin'), shown })).rejects.toMatchObject({
        member: 'payment.payeeOrigin',
      });
    });
    it('accepts none', async () => {
      expect((await runPayment({ sent: without('payeeOrigin') })).payment).not.toHaveProperty('payeeOrigin');
    });
  });

  describe('SPC §9.1 step 2.5.5: payment.paymentEntitiesLogos are some of those that were sent, in their order', () => {
    const [bank, network_, wallet] = PAYMENT.paymentEntitiesLogos;
    const logos = (...values: unknown[]) => member('paymentEntitiesLogos', values);
    refuses('payment.paymentEntitiesLogos', [
      ['null', member('paymentEntitiesLogos', null)],
      ['an object', member('paymentEntitiesLogos', {})],
      ['a URL alone', logos(bank!.url)],
      ['a list within the list', logos([bank])],
      ['a logo without a label', logos({ url: bank!.url })],
      ['a logo without a URL', logos({ label: bank!.label })],
      ['a logo that was not sent', logos(bank, { url: 'https://evil.example/logo.png', label: 'Bank' })],
      ['a label that was not sent', logos({ ...bank, label: 'Another bank' })],
      ['the label of another logo', logos({ ...bank, label: network_!.label })],
      ['another order', logos(network_, bank)],
      ['a logo twice', logos(bank, bank)],
      ['a logo that was not shown, with a label that was not sent', logos({ url: '', label: 'Another bank' })],
      ['more logos than were sent', logos(bank, network_, wallet, { url: '', label: 'Wallet' })],
    ]);
    it.each<[string, unknown]>([
      ['all', [bank, network_, wallet]],
      ['the first', [bank]],
      ['the last', [wallet]],
      ['the first and the last', [bank, wallet]],
      ['none', []],
      ['all, of which one was not shown', [bank, { url: '', label: 'Network' }, wallet]],
    ])('accepts %s, and returns what was shown', async (_, shown) => {
      const { payment } = await runPayment({ shown: member('paymentEntitiesLogos', shown) });
      expect(payment.paymentEntitiesLogos).toEqual(shown);
    });
    it('accepts no such member as an empty list', async () => {
      const { payment } = await runPayment({ shown: member('paymentEntitiesLogos', undefined) });
      expect(payment.paymentEntitiesLogos).toEqual([]);
    });
    it('rejects a logo where none was sent: payment-mismatch', () =>
      expectRefusal(runPayment({ expected: { paymentEntitiesLogos: [] } }), 'payment-mismatch'));
  });

  describe('SPC §9.1 step 2.5.6: payment.total is the amount, as text', () => {
    refuses(
      'payment.total',
      each([undefined, null, '12.50', 12.5, [], [{ currency: 'EUR', value: '12.50' }]], (value) =>
        member('total', value),
      ),
    );
    refuses(
      'payment.total.currency',
      each([undefined, null, '', 'USD', 'eur', 'EUR ', ['EUR']], (value) => inner('total', 'currency', value)),
    );
    refuses(
      'payment.total.value',
      each([undefined, null, '', '12.5', '12.500', '012.50', '+12.50', '1250', '12,50', 12.5, ['12.50']], (value) =>
        inner('total', 'value', value),
      ),
    );
  });

  describe('SPC §9.1 step 2.5.7: payment.instrument is the one that was sent', () => {
    const instrument = (name: string) => (value: unknown) => inner('instrument', name, value);
    const { icon } = PAYMENT.instrument;
    refuses(
      'payment.instrument',
      each([undefined, null, 'Visa', []], (value) => member('instrument', value)),
    );
    refuses(
      'payment.instrument.displayName',
      each([undefined, null, '', 'Visa ••1235', ['Visa ••1234']], instrument('displayName')),
    );
    refuses(
      'payment.instrument.icon',
      each(
        [undefined, null, '', `${icon}?`, createHash('sha256').update(icon).digest('hex'), [icon]],
        instrument('icon'),
      ),
    );
    refuses('payment.instrument.iconMustBeShown', each([false, null, 'true', 1], instrument('iconMustBeShown')));
    refuses(
      'payment.instrument.details',
      each([undefined, null, '', 'until 12/30', ['until 12/29']], instrument('details')),
    );
    const { details: _, ...undetailed } = PAYMENT.instrument;
    it.each(['until 12/29', '', null])('rejects %j where no details were sent: payment-mismatch', async (value) => {
      const ceremony = runPayment({
        sent: { ...PAYMENT, instrument: undetailed },
        shown: instrument('details')(value),
      });
      await expect(ceremony).rejects.toMatchObject({ member: 'payment.instrument.details' });
    });
    it('accepts none', () => runPayment({ sent: { ...PAYMENT, instrument: undetailed } }));

    const optional = { ...PAYMENT, instrument: { ...PAYMENT.instrument, iconMustBeShown: false } };
    it.each([
      ['that is absent, as Chromium writes it, where nothing was sent', undefined, PAYMENT],
      ['true where nothing was sent', true, PAYMENT],
      ['that is absent, as Chromium writes it, where false was sent', undefined, optional],
      ['false where it was sent', false, optional],
    ])('accepts iconMustBeShown %s', (_what, value, sent) =>
      runPayment({ sent, shown: instrument('iconMustBeShown')(value) }),
    );
    it.each([true, null, 'false'])('rejects %j where false was sent: payment-mismatch', async (value) => {
      const ceremony = runPayment({ sent: optional, shown: instrument('iconMustBeShown')(value) });
      await expect(ceremony).rejects.toMatchObject({ member: 'payment.instrument.iconMustBeShown' });
    });
    it.each([icon, ''])('accepts the icon %j where it need not be shown, and returns it', async (shown) => {
      const { payment } = await runPayment({ sent: optional, shown: instrument('icon')(shown) });
      expect(payment.instrument).toEqual({ ...PAYMENT.instrument, icon: shown });
    });
    it('rejects another icon there, too: payment-mismatch', () =>
      expectRefusal(
        runPayment({ sent: optional, shown: instrument('icon')('https://evil.example/') }),
        'payment-mismatch',
      ));
  });
});

describe('a refusal of a payment', () => {
  it.each([
    [inner('total', 'value', '99.99'), 'payment.total.value is not what the browser was given'],
    [inner('total', 'value', undefined), 'payment.total.value is absent'],
    [
      inner('instrument', 'displayName', 'Card 4111'),
      'payment.instrument.displayName is not what the browser was given',
    ],
  ])('names the member, and quotes neither value', async (shown, detail) => {
    const clause = expect.stringMatching(/^SPC §9\.1 step 2\.5\.[67]$/);
    await expect(runPayment({ shown })).rejects.toMatchObject({ detail, clause });
  });

  it('names no member for a reason that WebAuthn has', async () => {
    const ceremony = runPayment({ interference: { clientData: { type: 'webauthn.get' } } });
    await expect(ceremony).rejects.not.toHaveProperty('member');
    await expect(ceremony).rejects.toMatchObject({ clause: '§7.2 step 10' });
  });

  it('compares an icon by the digest of its text', async () => {
    const { instrument } = digestPayment(PAYMENT);
    const expected = { instrument: { ...instrument, icon: Buffer.alloc(32) } };
    await expect(runPayment({ expected })).rejects.toMatchObject({ member: 'payment.instrument.icon' });
  });
});

describe('a payment as a browser writes it', () => {
  it('is as it was, if it has that form', () => {
    expect(normalizePayment(PAYMENT)).toEqual(PAYMENT);
    const smallest = { total: PAYMENT.total, instrument: { displayName: 'Visa', icon: 'https://bank.example/' } };
    expect(normalizePayment(smallest)).toEqual(smallest);
  });

  it.each<[string, Partial<Payment>, Partial<Payment>]>([
    [
      'an origin',
      { payeeOrigin: 'https://Bücher.example:443/path?x' },
      { payeeOrigin: 'https://xn--bcher-kva.example' },
    ],
    ['a currency', { total: { currency: 'usd', value: '007.5' } }, { total: { currency: 'USD', value: '007.5' } }],
    ['half a character', { payeeName: ' Shop\ud800' }, { payeeName: ' Shop\ufffd' }],
    [
      'an instrument',
      {
        instrument: { displayName: '\udc00', icon: 'https://BANK.example', iconMustBeShown: false, details: '\udc00' },
      },
      {
        instrument: { displayName: '\ufffd', icon: 'https://bank.example/', iconMustBeShown: false, details: '\ufffd' },
      },
    ],
    [
      'a logo',
      { paymentEntitiesLogos: [{ url: 'https://bank.example/a b', label: '\ud800' }] },
      { paymentEntitiesLogos: [{ url: 'https://bank.example/a%20b', label: '\ufffd' }] },
    ],
  ])('changes %s', (_, sent, written) => {
    expect(normalizePayment({ ...PAYMENT, ...sent })).toEqual({ ...PAYMENT, ...written });
  });

  it.each<[string, Partial<Payment>]>([
    ['origin', { payeeOrigin: 'shop.example' }],
    ['icon', { instrument: { displayName: 'Visa', icon: 'visa.png' } }],
    ['logo', { paymentEntitiesLogos: [{ url: '', label: 'Bank' }] }],
  ])('has no %s that is not a URL', (_, sent) => {
    expect(() => normalizePayment({ ...PAYMENT, ...sent })).toThrow('Invalid URL');
  });
});
