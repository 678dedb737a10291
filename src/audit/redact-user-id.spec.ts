import { describe, expect, it } from '@jest/globals';
import { REDACTED, redactUserId } from './redact-user-id.js';

const ENTRY = { type: 'credential.suspend', outcome: 'success' } as const;
const redactDetail = (userId: string, text: string): unknown =>
  redactUserId({ ...ENTRY, userId, facts: { status_reason: text } }).facts?.['status_reason'];

describe('the user’s own id', () => {
  it.each([
    ['u-123', 'session of u-123', `session of ${REDACTED}`],
    ['u-123', 'u-123u-1234', `${REDACTED}${REDACTED}4`],
    ['ada@example.com', 'https://idp/?user=ada%40example.com', `https://idp/?user=${REDACTED}`],
    ['Zoë/1', '?user=Zo%c3%ab%2f1', `?user=${REDACTED}`],
    ['a"da', String.raw`{"user":"a\"da"}`, `{"user":"${REDACTED}"}`],
    ['$&', '$& and $$&', `${REDACTED} and $${REDACTED}`],
    ['{user.uid}', 'of {user.uid}', `of ${REDACTED}`],
    ['🔑', 'the 🔑', `the ${REDACTED}`],
    ['ada', 'ada, Canada, ada', `${REDACTED}, Canada, ${REDACTED}`],
    ['1', 'session-8c1f of 1', `session-8c1f of ${REDACTED}`],
    ['u-123', 'nobody', 'nobody'],
  ])('is removed wherever it is in a text: %j in %j', (userId, text, expected) => {
    expect(redactDetail(userId, text)).toBe(expected);
  });

  it('is removed from every text that a caller writes, and from nothing else in the event', () => {
    const facts = {
      ceremony: 'user',
      purpose: 'user',
      identity_proof: { method: 'of user', verifiedAt: '2026-06-30T12:00:00Z', reference: 'user' },
    };
    expect(redactUserId({ ...ENTRY, userId: 'user', detail: 'the user waits', facts })).toEqual({
      ...ENTRY,
      userId: 'user',
      detail: `the ${REDACTED} waits`,
      facts: {
        ceremony: 'user',
        purpose: REDACTED,
        identity_proof: { method: `of ${REDACTED}`, verifiedAt: '2026-06-30T12:00:00Z', reference: REDACTED },
      },
    });
  });

  it('is not searched for in an event without a user', () => {
    const entry = { ...ENTRY, detail: 'undefined' };
    expect(redactUserId(entry)).toBe(entry);
  });
});
