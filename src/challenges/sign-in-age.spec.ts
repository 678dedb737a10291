import { describe, expect, it } from '@jest/globals';
import { demandRecentSignIn } from './sign-in-age.js';

const NOW = new Date('2026-06-30T12:00:00.000Z');
const ago = (seconds: number): { lastSignInAt: Date } => ({ lastSignInAt: new Date(NOW.getTime() - seconds * 1_000) });
const NEVER = { lastSignInAt: null };

function findReason(passkeys: { lastSignInAt: Date | null }[], maxAgeSeconds = 900): unknown {
  try {
    demandRecentSignIn(passkeys, { maxAgeSeconds }, NOW);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('a purpose that demands a recent sign-in', () => {
  it.each([
    ['of this moment', [ago(0)]],
    ['at the end of its time', [ago(900)]],
    ['with any of the passkeys', [NEVER, ago(5_000), ago(10)]],
    ['that another replica saw, whose clock is a minute ahead', [ago(-60)]],
  ])('accepts one %s', (_, passkeys) => {
    expect(findReason(passkeys)).toBeUndefined();
  });

  it.each([
    ['a millisecond too old', [ago(900.001)]],
    ['in the future', [ago(-60.001)]],
    ['that never was', [NEVER]],
    ['without a passkey', []],
  ])('refuses one %s', (_, passkeys) => {
    expect(findReason(passkeys)).toMatchObject({ slug: 'policy-rejected', members: { reason: 'sign-in-too-old' } });
  });

  it('tells nobody if there was a sign-in', () => {
    const [old, none] = [[ago(901)], []].map((passkeys) => findReason(passkeys));
    expect(old).toEqual(none);
  });

  it('does not look where the purpose demands none', () => {
    expect(findReason([], Infinity)).toBeUndefined();
  });
});
