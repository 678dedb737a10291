import { describe, expect, it } from '@jest/globals';
import { type CredentialStatus, type TransitionName, TRANSITIONS } from './credential.entity.js';

const STATUSES: CredentialStatus[] = ['active', 'suspended', 'revoked'];

const applyTransition = (from: CredentialStatus, by: TransitionName): CredentialStatus | 'nowhere' => {
  const { from: allowed, to } = TRANSITIONS[by];
  return (allowed as readonly string[]).includes(from) ? to : 'nowhere';
};

describe('the life of a credential', () => {
  it.each<[CredentialStatus, TransitionName, CredentialStatus | 'nowhere']>([
    ['active', 'suspend', 'suspended'],
    ['active', 'reinstate', 'nowhere'],
    ['active', 'revoke', 'revoked'],
    ['suspended', 'suspend', 'nowhere'],
    ['suspended', 'reinstate', 'active'],
    ['suspended', 'revoke', 'revoked'],
    ['revoked', 'suspend', 'nowhere'],
    ['revoked', 'reinstate', 'nowhere'],
    ['revoked', 'revoke', 'nowhere'],
  ])('leads from %s by %s to %s', (from, by, to) => {
    expect(applyTransition(from, by)).toBe(to);
  });

  it('has no other transition', () => {
    expect(Object.keys(TRANSITIONS)).toEqual(['suspend', 'reinstate', 'revoke']);
  });

  it('ends when it is revoked', () => {
    for (const { from } of Object.values(TRANSITIONS)) expect(from).not.toContain('revoked');
  });

  it('has no state that is unreachable or unknown', () => {
    const reached = new Set(['active', ...Object.values(TRANSITIONS).map(({ to }) => to)]);
    expect([...reached].sort()).toEqual([...STATUSES].sort());
  });
});
