import { hash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Ceremony } from './challenge.js';

/** Challenges whose number in a minute is limited: those of one ceremony for one user of a relying party. */
export interface PacedChallenges {
  readonly rpId: string;
  readonly userId: string;
  readonly ceremony: Ceremony;
}

/** Times at which challenges were issued, in milliseconds, oldest first. Those before `first` do not count any more. */
interface IssueTimes {
  times: number[];
  first: number;
}

const MINUTE_MS = 60_000;
/** The number of keys in a generation. Each key takes about 180 bytes, and 8 to 16 more for each further challenge. */
const GENERATION_KEYS = 100_000;

/**
 * Limits the challenges that this process issues for a user within any minute (`challengesPerMinute`). A key stands for
 * one user, relying party and ceremony. It is a hash, so no user id stays in memory.
 *
 * Memory is bounded: two generations of keys exist, and each use of a key puts it into the young one. The old one is
 * dropped as a whole when the young one is a minute old, so all its challenges are older than that, or when the young
 * one is full. So a flood of invented users never causes a refusal of a real one. The price: while more than 100,000
 * other users begin within a minute, those that began before them are forgotten, and may get `challengesPerMinute` more.
 *
 * Each process counts for itself, and from zero after a start: n processes together issue up to n times the limit.
 */
@Injectable()
export class ChallengePace {
  private young = new Map<string, IssueTimes>();
  private old = new Map<string, IssueTimes>();
  /** The time at which the young generation began. */
  private since = -Infinity;

  /**
   * Counts a challenge unless the limit is reached.
   *
   * @param limit from 1. Each call may name another one, because it comes from the policy, which may change.
   * @param now milliseconds since the Unix epoch
   * @returns undefined if the challenge may be issued. Otherwise it is not counted, and the result is the time at which
   *   the next one may be issued, in milliseconds since the Unix epoch
   */
  take(challenges: PacedChallenges, limit: number, now: number): undefined | number {
    const key = hashKey(challenges);
    const issued = this.findCurrent(key, now);
    const blocked = issued && findEnd(issued, limit);
    if (issued && blocked === undefined) issued.times.push(now);
    if (!issued) this.young.set(key, { times: [now], first: 0 });
    return blocked;
  }

  /** Answers like `take`, and counts nothing. */
  peek(challenges: PacedChallenges, limit: number, now: number): undefined | number {
    const issued = this.findCurrent(hashKey(challenges), now);
    return issued && findEnd(issued, limit);
  }

  /** Finds the times of a key that count now. */
  private findCurrent(key: string, now: number): IssueTimes | undefined {
    this.beginGeneration(now);
    const issued = this.find(key);
    if (!issued) return undefined;
    takeBack(issued, now);
    forgetOld(issued, now);
    return issued;
  }

  private beginGeneration(now: number): void {
    // After a jump back of the clock the generation gets another minute, so that none is dropped too early.
    if (now < this.since) this.since = now;
    if (now - this.since < MINUTE_MS && this.young.size < GENERATION_KEYS) return;
    this.old = this.young;
    this.young = new Map();
    this.since = now;
  }

  /** Finds the times of a key, and keeps them for another generation. */
  private find(key: string): IssueTimes | undefined {
    const known = this.young.get(key);
    if (known) return known;
    const older = this.old.get(key);
    if (older) this.young.set(key, older);
    return older;
  }
}

/** RP IDs have no spaces, so no two users share a text. */
function hashKey({ rpId, userId, ceremony }: PacedChallenges): string {
  return hash('sha256', `${ceremony} ${rpId} ${userId}`, 'latin1');
}

/** Finds the time at which the next challenge may be issued. undefined: now. */
function findEnd({ times, first }: IssueTimes, limit: number): number | undefined {
  const blocking = times.length - limit;
  return blocking >= first ? times[blocking]! + MINUTE_MS : undefined;
}

/** Takes times in the future, from before a jump back of the clock, for now. So they count for a minute at most. */
function takeBack(issued: IssueTimes, now: number): void {
  const { times } = issued;
  for (let at = times.length - 1; at >= issued.first && times[at]! > now; at -= 1) times[at] = now;
}

/** Frees the memory of forgotten times when they are the greater part, so that each is moved about once. */
function forgetOld(issued: IssueTimes, now: number): void {
  const { times } = issued;
  while (issued.first < times.length && times[issued.first]! <= now - MINUTE_MS) issued.first += 1;
  if (issued.first <= times.length / 2) return;
  issued.times = times.slice(issued.first);
  issued.first = 0;
}
