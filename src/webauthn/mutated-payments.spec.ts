import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { explainRefusal, type SignedChange, signChanged, signedChange } from '../../test/support/mutated-payments.js';
import { PAYMENT_MEMBERS } from './refusal.js';
import { verifyPayment } from './verify-payment.js';

/** The reasons for a change of each member of WebAuthn. */
const REASONS_OF: Readonly<Record<string, readonly string[]>> = {
  type: ['type-mismatch'],
  challenge: ['challenge-mismatch'],
  origin: ['origin-mismatch'],
  crossOrigin: ['malformed', 'cross-origin-denied'],
  topOrigin: ['cross-origin-denied'],
};

/** The members that a refusal may name for a change at this path: the member, one around it, or one inside it. */
function listMembers({ kind, path }: SignedChange): string[] {
  const place = (kind === 'add' || kind === 'reverse' ? path.slice(0, -1) : path).filter((name) => !/^\d$/.test(name));
  const name = place.join('.');
  return PAYMENT_MEMBERS.filter((member) => `${member}.`.startsWith(`${name}.`) || `${name}.`.startsWith(`${member}.`));
}

describe('a payment that a page changed before its user signed it', () => {
  it('is refused if it means something else, with the member that was changed', () => {
    fc.assert(
      fc.property(signedChange, (change) => {
        fc.pre(signChanged([change]).means === 'something else');
        const { reason, member } = explainRefusal(change);
        const [first = ''] = change.path;
        if (first in REASONS_OF) expect(REASONS_OF[first]).toContain(reason);
        else expect(listMembers(change)).toContain(member);
      }),
      { numRuns: 500 },
    );
  });

  it('is accepted if it means the same: another order, or members that nobody knows', () => {
    const order = fc.constantFrom([], ['payment'], ['payment', 'total'], ['payment', 'instrument']);
    const reordered = order.map((path): SignedChange => ({ kind: 'reverse', path }));
    const added = signedChange.filter(({ kind }) => kind === 'add');
    fc.assert(
      fc.property(fc.array(fc.oneof(reordered, added), { minLength: 1, maxLength: 4 }), (changes) => {
        const { answer, expected, means } = signChanged(changes);
        fc.pre(means === 'the same');
        expect(verifyPayment(answer, expected)).toMatchObject({ userVerified: true });
      }),
      { numRuns: 300 },
    );
  });
});
