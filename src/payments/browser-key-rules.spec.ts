import { describe, expect, it } from '@jest/globals';
import { type BrowserKey, type BrowserKeyState, MAX_BROWSER_KEYS } from '../credentials/browser-keys.js';
import { judgeBrowserKey } from './browser-key-rules.js';

const NOW = '2026-06-30T12:00:00.000Z';
const makeKey = (thumbprint: string, state: BrowserKeyState): BrowserKey => ({
  ...{ thumbprint, state, addedAt: NOW, changedAt: NOW },
});
const TRUSTED = [makeKey('trusted', 'trusted')];
const KNOWN = [...TRUSTED, makeKey('untrusted', 'untrusted'), makeKey('revoked', 'revoked')];
const REVOKED = [makeKey('revoked', 'revoked')];

type Rule = 'accept' | 'step-up' | 'refuse';
type Outcome = [state: string | undefined, risk: string | undefined, remember: string | undefined] | 'denied';

const judge = (keys: readonly BrowserKey[], thumbprint: string | undefined, unknown: Rule): Outcome => {
  try {
    const { state, risk, remember } = judgeBrowserKey(keys, thumbprint, { unknown });
    return [state, risk, remember];
  } catch (error) {
    expect(error).toMatchObject({ reason: 'browser-key-denied' });
    return 'denied';
  }
};

const NEW = 'browser-key-new';
const ABSENT = 'browser-key-absent';
const NOTHING: Outcome = [undefined, undefined, undefined];

describe('a browser-bound key', () => {
  it.each<[string, readonly BrowserKey[], string | undefined, Record<Rule, Outcome>]>([
    [
      'is remembered if it is the first one',
      ...([[], 'x'] as const),
      { accept: ['new', NEW, 'trusted'], 'step-up': ['new', NEW, 'untrusted'], refuse: ['new', NEW, 'trusted'] },
    ],
    [
      'that is trusted is no risk',
      ...([KNOWN, 'trusted'] as const),
      {
        accept: ['trusted', undefined, undefined],
        'step-up': ['trusted', undefined, undefined],
        refuse: ['trusted', undefined, undefined],
      },
    ],
    [
      'of another device is new',
      ...([KNOWN, 'x'] as const),
      { accept: ['new', NEW, 'trusted'], 'step-up': ['new', NEW, 'untrusted'], refuse: 'denied' },
    ],
    [
      'that waits for a step-up stays a risk, until the policy accepts it',
      ...([KNOWN, 'untrusted'] as const),
      { accept: ['untrusted', NEW, 'trusted'], 'step-up': ['untrusted', NEW, undefined], refuse: 'denied' },
    ],
    [
      'that was revoked pays nothing',
      ...([KNOWN, 'revoked'] as const),
      { accept: 'denied', 'step-up': 'denied', refuse: 'denied' },
    ],
    [
      'of a passkey whose only key was revoked is not its first',
      ...([REVOKED, 'x'] as const),
      { accept: ['new', NEW, 'trusted'], 'step-up': ['new', NEW, 'untrusted'], refuse: 'denied' },
    ],
    [
      'that is absent is a risk once there was a trusted one',
      ...([KNOWN, undefined] as const),
      { accept: [undefined, ABSENT, undefined], 'step-up': [undefined, ABSENT, undefined], refuse: 'denied' },
    ],
    [
      'that was always absent is none',
      ...([[], undefined] as const),
      { accept: NOTHING, 'step-up': NOTHING, refuse: NOTHING },
    ],
  ])('%s', (_, keys, thumbprint, outcomes) => {
    for (const [rule, outcome] of Object.entries(outcomes)) {
      expect([rule, judge(keys, thumbprint, rule as Rule)]).toEqual([rule, outcome]);
    }
  });

  it('is refused if the passkey has as many as it may have', () => {
    const keys = Array.from({ length: MAX_BROWSER_KEYS }, (_, at) => makeKey(String(at), 'trusted'));
    expect(judge(keys, 'x', 'accept')).toBe('denied');
    expect(judge(keys.slice(1), 'x', 'accept')).toEqual(['new', NEW, 'trusted']);
    expect(judge(keys, '7', 'accept')).toEqual(['trusted', undefined, undefined]);
  });
});
