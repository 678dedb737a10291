import { beforeEach, describe, expect, it } from '@jest/globals';
import { AUTH_SERVICE } from '../../test/support/callers.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import type { Caller } from '../http/request-context.js';
import { Metrics } from '../telemetry/metrics.js';
import { RiskSignals } from './risk-signals.js';

const SPIKE = 20;
const WINDOW_MS = 60_000;

let audit: FakeAudit;
let metrics: Metrics;
let now: number;
let risks: RiskSignals;
beforeEach(() => {
  audit = new FakeAudit();
  metrics = new Metrics();
  now = Date.parse('2026-06-30T12:00:00Z');
  risks = new RiskSignals({ now: () => new Date(now) }, audit.service, metrics);
});

const named = (name: string, members: Partial<Caller> = {}): Caller => ({
  ...AUTH_SERVICE,
  spiffeId: `spiffe://bank.example/${name}`,
  ...members,
});
const counted = async (signal: string): Promise<number> =>
  (await metrics.riskSignals.get()).values.find(({ labels }) => labels.signal === signal)?.value ?? 0;

function deny(times: number, name = 'auth-service'): void {
  for (let denials = 0; denials < times; denials += 1) risks.countDenial(named(name));
}

describe('denials of one identity', () => {
  it('are a spike when there are 20 within a minute', async () => {
    deny(SPIKE - 1);
    expect(audit.entries).toEqual([]);
    now += WINDOW_MS - 1;
    deny(1);
    expect(audit.entries).toEqual([
      {
        type: 'risk.signal',
        outcome: 'success',
        reason: 'denial-spike',
        detail: '20 denials within a minute',
        facts: { identity: 'spiffe://bank.example/auth-service' },
      },
    ]);
    expect(await counted('denial-spike')).toBe(1);
  });

  it('are reported once in each minute, however many there are', async () => {
    deny(SPIKE * 10);
    expect(await counted('denial-spike')).toBe(1);
    now += WINDOW_MS;
    deny(SPIKE - 1);
    expect(await counted('denial-spike')).toBe(1);
    deny(1);
    expect(await counted('denial-spike')).toBe(2);
  });

  it('are not a spike when they come slowly', () => {
    for (let minutes = 0; minutes < 5; minutes += 1, now += WINDOW_MS) deny(SPIKE - 1);
    expect(audit.entries).toEqual([]);
  });

  it('are counted again from zero when the clock goes back', () => {
    deny(SPIKE - 1);
    now -= 1;
    deny(1);
    expect(audit.entries).toEqual([]);
    deny(SPIKE - 1);
    expect(audit.entries).toHaveLength(1);
  });

  it('do not count for another identity', () => {
    deny(SPIKE - 1, 'one');
    deny(SPIKE - 1, 'other');
    expect(audit.entries).toEqual([]);
  });

  it('are remembered for 10,000 identities, of which the oldest are forgotten', () => {
    deny(SPIKE - 1, 'oldest');
    deny(SPIKE - 1, 'second');
    for (let others = 0; others < 9_998; others += 1) deny(1, `other-${String(others)}`);
    deny(1, 'second');
    expect(audit.entries).toHaveLength(1);
    deny(1, 'one-more');
    deny(1, 'oldest');
    expect(audit.entries).toHaveLength(1);
  });

  it('are the youngest again when they begin a new minute', () => {
    deny(1, 'auth-service');
    for (let others = 0; others < 9_999; others += 1) deny(1, `other-${String(others)}`);
    now += WINDOW_MS;
    deny(SPIKE - 1, 'auth-service');
    deny(1, 'one-more');
    deny(1, 'auth-service');
    expect(audit.entries).toHaveLength(1);
  });
});

describe('a certificate', () => {
  const come = (fingerprint: string, twinFingerprint?: string): void => {
    risks.checkIdentity(named('auth-service', { fingerprint, twinFingerprint }));
  };

  it('that comes with both of its signatures is reported, once', async () => {
    come('issued', 'altered');
    come('issued', 'altered');
    come('renewed', 'not seen');
    expect(audit.entries).toEqual([]);
    come('altered', 'issued');
    come('altered', 'issued');
    come('issued', 'altered');
    expect(audit.entries).toEqual([
      {
        type: 'risk.signal',
        outcome: 'success',
        reason: 'certificate-altered',
        detail: 'a certificate was presented with both signatures that ECDSA accepts',
        facts: { identity: expect.any(String), fingerprint: 'altered', twin_fingerprint: 'issued' },
      },
    ]);
    expect(await counted('certificate-altered')).toBe(1);
  });

  it('that is not signed by ECDSA has no second signature', () => {
    come('rsa');
    come('another rsa');
    expect(audit.entries).toEqual([]);
  });

  it('is remembered until 10,000 others came', () => {
    come('oldest', 'twin');
    for (let others = 0; others < 9_999; others += 1) come(`other-${String(others)}`, 'none');
    come('one more', 'none');
    come('twin', 'oldest');
    expect(audit.entries).toEqual([]);
  });
});

describe('an identity', () => {
  const come = (authority: string, name = 'auth-service'): void => {
    risks.checkIdentity(named(name, { authority, fingerprint: `of-${authority}` }));
  };

  it('that comes with a certificate of another authority is reported', async () => {
    come('a');
    come('a');
    expect(audit.entries).toEqual([]);
    come('b');
    expect(audit.entries).toEqual([
      {
        type: 'risk.signal',
        outcome: 'success',
        reason: 'authority-changed',
        detail: 'the identity presented a certificate from another authority',
        facts: {
          identity: 'spiffe://bank.example/auth-service',
          fingerprint: 'of-b',
          authority: 'b',
          previous_authorities: ['a'],
        },
      },
    ]);
    expect(await counted('authority-changed')).toBe(1);
  });

  it('that alternates between two authorities, as in a rotation, is reported once', async () => {
    for (let requests = 0; requests < 50; requests += 1) come(requests % 2 ? 'a' : 'b');
    expect(await counted('authority-changed')).toBe(1);
    come('c');
    expect(audit.entries.at(-1)).toMatchObject({ facts: { authority: 'c', previous_authorities: ['b', 'a'] } });
  });

  it('has eight authorities that are remembered, of which the oldest is forgotten', async () => {
    for (const authority of '123456789') come(authority);
    expect(await counted('authority-changed')).toBe(8);
    for (const authority of '23456789') come(authority);
    expect(await counted('authority-changed')).toBe(8);
    come('1');
    expect(await counted('authority-changed')).toBe(9);
  });

  it('does not affect another one', () => {
    come('a', 'one');
    come('b', 'other');
    expect(audit.entries).toEqual([]);
  });

  it('is one of 10,000 that are remembered, of which the oldest is forgotten', () => {
    come('a', 'oldest');
    come('a', 'second');
    for (let others = 0; others < 9_999; others += 1) come('a', `other-${String(others)}`);
    come('b', 'oldest');
    expect(audit.entries).toEqual([]);
    come('b', 'other-1');
    expect(audit.entries).toHaveLength(1);
  });
});

describe('a sign count that falls back', () => {
  it('is counted, and the event of the authentication names the user', async () => {
    risks.countSignCountRegression();
    expect([await counted('sign-count-regressed'), audit.entries]).toEqual([1, []]);
  });
});
