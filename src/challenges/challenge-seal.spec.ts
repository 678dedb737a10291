import { randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { AUTH_SERVICE, makeAuthorizedContext } from '../../test/support/callers.js';
import { FakeClock } from '../../test/support/fake-clock.js';
import type { AuthorizedContext } from '../http/request-context.js';
import type { Challenge } from './challenge.js';
import { ChallengeSeal } from './challenge-seal.js';

const TTL_SECONDS = 300;
const RP_ID = 'login.example.com';
/** The longest token that the contract allows. */
const MAX_CHARACTERS = 4_096;
const [OLD, NEW] = [randomBytes(32), randomBytes(32)];

const clock = new FakeClock();
const makeSeal = (...challenges: Buffer[]): ChallengeSeal => new ChallengeSeal({ challenges }, clock);
const seal = makeSeal(NEW);
const context = makeAuthorizedContext();
const { spiffeId } = AUTH_SERVICE;

function makeChallenge(changed: Partial<Challenge> = {}): Challenge {
  const issuedAt = clock.now();
  return {
    id: uuidv7({ msecs: issuedAt.getTime() }),
    rpId: RP_ID,
    userId: undefined,
    purpose: undefined,
    challenge: randomBytes(32),
    issuedAt,
    expiresAt: new Date(issuedAt.getTime() + TTL_SECONDS * 1_000),
    registration: undefined,
    confirmation: undefined,
    payment: undefined,
    ...changed,
  };
}

const REGISTRATION = {
  handle: randomBytes(32),
  revocations: 0,
  uid: randomUUID(),
  conditional: false,
  payment: false,
  attachment: undefined,
  identityProof: undefined,
} as const;

const PAYMENT = {
  digest: randomBytes(32),
  total: { currency: 'EUR', value: '12.50' },
  payeeName: 'Shop',
  payeeOrigin: undefined,
  instrument: { displayName: 'Card', icon: randomBytes(32), iconMustBeShown: undefined, details: undefined },
  paymentEntitiesLogos: [],
  callerOrigins: ['https://shop.example'],
  topOrigins: undefined,
  offered: [],
};

const isOpenedBy = (opener: ChallengeSeal, token: string, as: AuthorizedContext = context): boolean => {
  try {
    opener.open(as, token);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ slug: 'challenge-spent' });
    return false;
  }
};

describe('a sealed challenge', () => {
  it.each<[string, Partial<Challenge>]>([
    ['for any user', {}],
    ['for a user and a purpose', { userId: 'u-1', purpose: 'payment' }],
    ['for a user whose id looks like the JSON around it', { userId: '","r":"other.example.com' }],
    ['for a registration', { userId: 'u-1', registration: REGISTRATION }],
    ['for a registration of a user who was revoked', { registration: { ...REGISTRATION, revocations: 7 } }],
    ['for a registration, as the version before sealed it', { registration: { ...REGISTRATION, uid: undefined } }],
    [
      'for a registration with everything',
      {
        userId: 'ü',
        purpose: 'enrol',
        registration: {
          ...REGISTRATION,
          conditional: true,
          payment: true,
          attachment: 'platform',
          identityProof: { method: 'otp', verifiedAt: '2026-03-01T09:30:00Z', reference: 'session-1' },
        },
      },
    ],
    ['for a confirmation', { userId: 'u-1', confirmation: { digest: randomBytes(32) } }],
    ['for a payment', { userId: 'u-1', payment: PAYMENT }],
    [
      'for a payment with everything',
      {
        userId: 'u-1',
        payment: {
          ...PAYMENT,
          payeeOrigin: 'https://shop.example',
          instrument: { ...PAYMENT.instrument, iconMustBeShown: false, details: '••1234' },
          paymentEntitiesLogos: [{ url: randomBytes(32), label: 'Bank' }],
          topOrigins: ['https://top.example'],
          offered: Array.from({ length: 64 }, () => randomBytes(16)),
        },
      },
    ],
  ])('%s is the same when it is opened', (_case, changed) => {
    const challenge = makeChallenge(changed);
    expect(seal.open(context, seal.seal(challenge, spiffeId))).toEqual(challenge);
  });

  it('says by its version if a replica of the version before, which knows neither confirmations nor payments, may open it', () => {
    const readVersion = (changed: Partial<Challenge>): number =>
      Buffer.from(seal.seal(makeChallenge(changed), spiffeId), 'base64url').readUInt8();
    expect(readVersion({})).toBe(1);
    expect(readVersion({ registration: REGISTRATION })).toBe(1);
    expect(readVersion({ userId: 'u-1', confirmation: { digest: randomBytes(32) } })).toBe(2);
    expect(readVersion({ userId: 'u-1', payment: PAYMENT })).toBe(2);
  });

  it('is base64url that fits in the contract, also with the longest values of a request', () => {
    const longest = (count: number): string => '\u{1f511}'.repeat(count);
    const token = seal.seal(
      makeChallenge({
        rpId: `${'a'.repeat(63)}.`.repeat(4).slice(0, 253),
        userId: longest(256),
        purpose: 'p'.repeat(64),
        registration: {
          handle: randomBytes(32),
          revocations: 2_147_483_647,
          uid: randomUUID(),
          conditional: false,
          payment: false,
          attachment: 'cross-platform',
          identityProof: {
            method: longest(64),
            verifiedAt: '2026-03-01T09:30:00.000000000+00:00',
            reference: longest(256),
          },
        },
      }),
      spiffeId,
    );
    expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(token.length).toBeLessThanOrEqual(MAX_CHARACTERS);
  });

  it('shows nothing of its content, and never looks the same twice', () => {
    const challenge = makeChallenge({ userId: 'u-1'.repeat(20), registration: REGISTRATION });
    const tokens = [seal.seal(challenge, spiffeId), seal.seal(challenge, spiffeId)];
    expect(tokens[0]).not.toBe(tokens[1]);
    for (const token of tokens) {
      const bytes = Buffer.from(token, 'base64url');
      for (const secret of [challenge.challenge, REGISTRATION.handle, Buffer.from('u-1u-1'), Buffer.from(RP_ID)]) {
        expect(bytes.includes(secret)).toBe(false);
      }
    }
  });

  it('opens until it expires, and not at that moment', () => {
    clock.freeze();
    const token = seal.seal(makeChallenge(), spiffeId);
    clock.advance(TTL_SECONDS - 1);
    expect(isOpenedBy(seal, token)).toBe(true);
    clock.advance(1);
    expect(isOpenedBy(seal, token)).toBe(false);
    clock.reset();
  });

  it('opens for the caller that it was issued to, and for no other', () => {
    const token = seal.seal(makeChallenge(), spiffeId);
    const other = makeAuthorizedContext({ spiffeId: `${spiffeId}-2` });
    expect(isOpenedBy(seal, token)).toBe(true);
    expect(isOpenedBy(seal, token, other)).toBe(false);
  });

  it('opens for relying parties that the caller may act for now', () => {
    const token = seal.seal(makeChallenge(), spiffeId);
    const asParty = (...parties: string[]): boolean => isOpenedBy(seal, token, makeAuthorizedContext({}, parties));
    expect(asParty('other.example.com', RP_ID)).toBe(true);
    expect(asParty('other.example.com')).toBe(false);
    expect(asParty()).toBe(false);
  });

  it('does not open if any of its bits is changed', () => {
    const bytes = Buffer.from(
      seal.seal(makeChallenge({ userId: 'u-1', registration: REGISTRATION }), spiffeId),
      'base64url',
    );
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(isOpenedBy(seal, changed.toString('base64url'))).toBe(false);
    }
  });

  it('does not open if it is cut, lengthened or joined with another', () => {
    const [one, two] = [1, 2].map(() => Buffer.from(seal.seal(makeChallenge(), spiffeId), 'base64url')) as [
      Buffer,
      Buffer,
    ];
    for (let length = 0; length < one.length; length += 1) {
      expect(isOpenedBy(seal, one.subarray(0, length).toString('base64url'))).toBe(false);
      const joined = Buffer.concat([one.subarray(0, length), two.subarray(length)]);
      // Bytes of both may be the same by chance, so the joined one may be one of them.
      expect(isOpenedBy(seal, joined.toString('base64url'))).toBe([one, two].some((whole) => joined.equals(whole)));
    }
    expect(isOpenedBy(seal, Buffer.concat([one, Buffer.alloc(1)]).toString('base64url'))).toBe(false);
  });

  it.each([0, 1, 2])('has one spelling, also where the last character has unused bits (%d bytes more)', (more) => {
    const token = seal.seal(makeChallenge({ userId: 'u'.repeat(1 + more) }), spiffeId);
    expect(isOpenedBy(seal, token)).toBe(true);
    for (const last of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') {
      expect(isOpenedBy(seal, token + last)).toBe(false);
      expect(isOpenedBy(seal, token.slice(0, -1) + last)).toBe(last === token.at(-1));
    }
  });

  it.each([
    ['an empty text', ''],
    ['a letter', 'x'],
    ['a UUID, as the previous version issued', '0199b4e0-0000-7000-8000-000000000001'],
    ['a text of the greatest length', 'A'.repeat(MAX_CHARACTERS)],
  ])('is not %s', (_case, text) => {
    expect(isOpenedBy(seal, text)).toBe(false);
  });
});

describe('the keys of sealed challenges', () => {
  it('are new first: the first one seals, and the others still open', () => {
    const before = makeSeal(OLD).seal(makeChallenge(), spiffeId);
    const rotated = makeSeal(NEW, OLD);
    expect(isOpenedBy(rotated, before)).toBe(true);
    const after = rotated.seal(makeChallenge(), spiffeId);
    expect(isOpenedBy(makeSeal(NEW), after)).toBe(true);
    expect(isOpenedBy(makeSeal(OLD), after)).toBe(false);
  });

  it('open nothing after they are retired', () => {
    const token = makeSeal(OLD).seal(makeChallenge(), spiffeId);
    expect(isOpenedBy(makeSeal(NEW), token)).toBe(false);
  });

  it('are the same in a replica that started later', () => {
    const token = makeSeal(NEW).seal(makeChallenge(), spiffeId);
    expect(isOpenedBy(makeSeal(NEW), token)).toBe(true);
  });

  it('stay few in memory, however many hours somebody makes up', () => {
    const token = Buffer.from(seal.seal(makeChallenge(), spiffeId), 'base64url');
    const hourKeys = (seal as unknown as { hourKeys: Map<string, Buffer> }).hourKeys;
    for (let hour = 0; hour < 1_000; hour += 1) {
      token.writeUInt32BE(hour, 5);
      expect(isOpenedBy(seal, token.toString('base64url'))).toBe(false);
    }
    expect(hourKeys.size).toBeLessThanOrEqual(64);
  });
});
