import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { decoyDescriptor } from './decoy.js';

const KEY = randomBytes(32);
const decoy = (rpId = 'a.example', userId = 'u-1', key = KEY) => decoyDescriptor(key, rpId, userId);
const idOf = (userId: string): Buffer => Buffer.from(decoy('a.example', userId).id, 'base64url');
const users = Array.from({ length: 3_000 }, (_, index) => `u-${String(index)}`);

describe('the credential that a user without passkeys is shown', () => {
  it('is the same every time', () => {
    expect(decoy()).toEqual(decoy());
  });

  it('looks like a real one', () => {
    expect(decoy()).toEqual({
      ...{
        type: 'public-key',
        id: expect.stringMatching(/^[A-Za-z0-9_-]{22,43}$/),
        transports: ['internal', 'hybrid'],
      },
    });
    const lengths = new Set(users.map((user) => idOf(user).length));
    expect([...lengths].sort()).toEqual([16, 20, 32]);
  });

  it('is another for another user, another relying party and another key', () => {
    const ids = [decoy(), decoy('b.example'), decoy('a.example', 'u-2'), decoy('a.example', 'u-1', randomBytes(32))];
    expect(new Set(ids.map(({ id }) => id.slice(0, 22))).size).toBe(4);
    expect(new Set(users.map((user) => idOf(user).toString('hex', 0, 16))).size).toBe(users.length);
  });

  it('does not mistake one pair of names for another', () => {
    expect(decoy('a.example', 'b')).not.toEqual(decoy('a.exampleb', ''));
    expect(decoy('a', '","x')).not.toEqual(decoy('a","', 'x'));
  });

  it('has each length for about as many users', () => {
    const counts = [16, 20, 32].map((length) => users.filter((user) => idOf(user).length === length).length);
    for (const count of counts) expect(count / users.length).toBeCloseTo(1 / 3, 1);
  });

  it('does not tell its length by its first byte, nor its bytes by the user', () => {
    const firstBytes = new Set(users.slice(0, 600).map((user) => idOf(user)[0]));
    expect(firstBytes.size).toBeGreaterThan(200);
    const lengthsOf = (first: number): Set<number> =>
      new Set(users.filter((user) => idOf(user)[0]! % 3 === first).map((user) => idOf(user).length));
    for (const first of [0, 1, 2]) expect(lengthsOf(first).size).toBe(3);
  });
});
