import { beforeEach, describe, expect, it } from '@jest/globals';
import { ChallengePace, type PacedChallenges } from './challenge-pace.js';

const START = 1_800_000_000_000;
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** So many other users must begin before a user is forgotten. */
const REMEMBERED = 100_000;

const USER = { rpId: 'bank.example', userId: 'u-1', ceremony: 'authentication' } as const;

let pace: ChallengePace;
let now: number;
beforeEach(() => {
  [pace, now] = [new ChallengePace(), START];
});

const take = (limit: number, challenges: PacedChallenges = USER): number | undefined =>
  pace.take(challenges, limit, now);

/** Asks for challenges at one time. @returns how many of them are issued */
function count(asked: number, limit: number, challenges: PacedChallenges = USER): number {
  let issued = 0;
  for (let done = 0; done < asked; done += 1) if (take(limit, challenges) === undefined) issued += 1;
  return issued;
}

/** Asks for one challenge for each of many users. @returns how many of them are issued */
function flood(users: number, name = 'invented'): number {
  let issued = 0;
  for (let user = 0; user < users; user += 1) issued += count(1, 1, { ...USER, userId: `${name}-${String(user)}` });
  return issued;
}

/** Numbers that look random and are the same in every run. */
function* makeNumbers(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

describe('the challenges of a user', () => {
  it('are issued up to the limit, and then refused until the oldest is a minute old', () => {
    expect(count(2, 5)).toBe(2);
    now += 10 * SECOND;
    expect(count(9, 5)).toBe(3);
    expect(take(5)).toBe(START + MINUTE);
    now = START + MINUTE - 1;
    expect(take(5)).toBe(START + MINUTE);
    now += 1;
    expect(count(9, 5)).toBe(2);
    expect(take(5)).toBe(START + 10 * SECOND + MINUTE);
  });

  it('can be looked at without counting', () => {
    const peek = (): number | undefined => pace.peek(USER, 2, now);
    expect([peek(), peek(), peek()]).toEqual([undefined, undefined, undefined]);
    expect(count(2, 2)).toBe(2);
    expect([peek(), take(2)]).toEqual([now + MINUTE, now + MINUTE]);
  });

  it('count only if they are issued, so that nobody who keeps on asking waits longer', () => {
    count(3, 3);
    for (; now < START + MINUTE; now += SECOND) expect(take(3)).toBe(START + MINUTE);
    expect(count(9, 3)).toBe(3);
  });

  it.each<[string, PacedChallenges]>([
    ['another user', { ...USER, userId: 'u-2' }],
    ['a user whose id is longer', { ...USER, userId: 'u-1 ' }],
    ['another relying party', { ...USER, rpId: 'shop.example' }],
    ['the other ceremony', { ...USER, ceremony: 'registration' }],
  ])('do not count against %s', (_, other) => {
    count(9, 3);
    expect(count(9, 3, other)).toBe(3);
  });

  it.each([1, 2, 7, 120])('are at most %i within any minute, and never refused below that', (limit) => {
    const numbers = makeNumbers(limit);
    const issued: number[] = [];
    for (let asked = 0; asked < 5_000; asked += 1) {
      now += Math.floor(numbers.next().value ** 4 * 4 * (MINUTE / limit));
      const within = issued.filter((time) => time > now - MINUTE);
      const until = take(limit);
      expect(until).toBe(within.length < limit ? undefined : within.at(-limit)! + MINUTE);
      if (until === undefined) issued.push(now);
    }
    expect(issued.length).toBeGreaterThan(limit);
    expect(issued.length).toBeLessThan(5_000);
  });

  it('are counted exactly up to the greatest limit that a policy may set', () => {
    const limit = 10_000;
    for (let done = 0; done < 3 * limit; done += 1) {
      expect(take(limit)).toBeUndefined();
      now += MINUTE / limit;
    }
    now -= 1;
    expect(take(limit)).toBe(now + 1);
  });
});

describe('a new limit', () => {
  it('takes effect at once when it is stricter', () => {
    for (let done = 0; done < 3; done += 1) {
      expect(take(12)).toBeUndefined();
      now += SECOND;
    }
    expect(take(2)).toBe(START + SECOND + MINUTE);
    expect(take(1)).toBe(START + 2 * SECOND + MINUTE);
  });

  it('takes effect at once when it is more generous, and counts what was issued before', () => {
    expect(count(9, 3)).toBe(3);
    expect(take(2)).toBe(START + MINUTE);
    expect(count(9, 5)).toBe(2);
  });
});

describe('a clock that jumps back', () => {
  it.each([1, SECOND, HOUR, 365 * 24 * HOUR])('by %i ms blocks nobody for longer than a minute', (jump) => {
    count(3, 3);
    now -= jump;
    expect(take(3)).toBe(now + MINUTE);
    const until = now + MINUTE;
    now = until - 1;
    expect(take(3)).toBe(until);
    now = until;
    expect(count(9, 3)).toBe(3);
  });

  it('does not make the service issue more than the limit within a minute', () => {
    expect(count(2, 3)).toBe(2);
    now -= HOUR;
    expect(count(9, 3)).toBe(1);
    flood(10);
    now += MINUTE - 1;
    expect(count(9, 3)).toBe(0);
  });
});

describe('a flood of invented users', () => {
  it('does not make a user forgotten who began after all but 99,999 of the others', () => {
    flood(REMEMBERED);
    expect(count(9, 3)).toBe(3);
    flood(REMEMBERED - 1, 'further');
    expect(count(9, 3)).toBe(0);
  });

  it('does not make a user forgotten who is in use, also while refused', () => {
    expect(count(9, 3)).toBe(3);
    for (let part = 0; part < 5; part += 1) {
      flood(REMEMBERED / 2, String(part));
      expect(count(9, 3)).toBe(0);
    }
  });

  it('is never refused, and takes bounded memory: it makes the users forgotten who began before 200,000 others', () => {
    expect(count(9, 3)).toBe(3);
    expect(flood(2 * REMEMBERED)).toBe(2 * REMEMBERED);
    expect(count(9, 3)).toBe(3);
  });
});
