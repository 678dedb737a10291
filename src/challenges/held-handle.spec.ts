import { describe, expect, it } from '@jest/globals';
import { Refusal } from '../webauthn/refusal.js';
import { demandHeldHandle, learnHeldHandle, UNKNOWN_HANDLE } from './held-handle.js';

const user = { handle: Buffer.from('of the user') };
const own = Buffer.from('of the passkey');
const text = (bytes: Buffer): string => bytes.toString('base64url');

const accepts = (userHandle: Buffer | null, told: string | undefined): boolean => {
  try {
    demandHeldHandle({ userHandle }, user, told);
    return true;
  } catch (error) {
    if (error instanceof Refusal && error.reason === 'user-handle-mismatch') return false;
    throw error;
  }
};

describe('the user handle that an authenticator holds', () => {
  it.each<[string, Buffer | null, Buffer, Buffer]>([
    ['the user’s where the passkey has none of its own', null, user.handle, own],
    ['the passkey’s own, and not the user’s', own, own, user.handle],
  ])('is %s', (_name, held, right, wrong) => {
    expect(accepts(held, text(right))).toBe(true);
    expect(accepts(held, text(wrong))).toBe(false);
    expect(accepts(held, `${text(right)}=`)).toBe(false);
    expect(accepts(held, undefined)).toBe(true);
    for (const told of [text(right), undefined]) expect(learnHeldHandle({ userHandle: held }, user, told)).toBe(held);
  });

  it('is learned if it is not known, and is the user’s own if it is the same', () => {
    const unknown = { userHandle: UNKNOWN_HANDLE };
    expect(learnHeldHandle(unknown, user, text(own))).toEqual(own);
    expect(learnHeldHandle(unknown, user, text(user.handle))).toBeNull();
    expect(learnHeldHandle(unknown, user, undefined)).toBe(UNKNOWN_HANDLE);
  });

  it('is not learned if no authenticator can hold it', () => {
    expect(accepts(UNKNOWN_HANDLE, text(Buffer.alloc(64)))).toBe(true);
    expect(accepts(UNKNOWN_HANDLE, text(Buffer.alloc(65)))).toBe(false);
    // The last letter has bits that no byte has.
    expect(accepts(UNKNOWN_HANDLE, 'AB')).toBe(false);
  });
});
