import { describe, expect, it } from '@jest/globals';
import { PARTY_SETTINGS } from '../explain/party-settings.js';
import { type CompleteSettings, listDifferences } from '../explain/setting-differences.js';
import { DEFAULT_POLICY } from '../../src/relying-parties/relying-party-policy.js';
import { copySettings, formatValue, mergeDraft, readMember, toBody, writeMember } from './draft.js';
import { SCENARIOS } from './scenarios.js';
import { SETTING_GROUPS } from './setting-groups.js';

const BASE = {
  name: 'Example',
  origins: ['https://login.example.com'],
  enabled: true,
  policy: DEFAULT_POLICY,
  successor: null,
} as unknown as CompleteSettings;

const pointersOf = (before: CompleteSettings, after: CompleteSettings): string[] =>
  listDifferences(before, after).map(({ pointer }) => pointer);

describe('a draft of a relying party', () => {
  it.each(PARTY_SETTINGS.filter(({ form }) => form.kind !== 'purposes' && form.kind !== 'time'))(
    'reads back what it writes: $pointer',
    ({ pointer }) => {
      const begun = pointer.startsWith('/successor/') ? writeMember(BASE, '/successor/rpId', 'b.example') : BASE;
      expect(readMember(writeMember(begun, pointer, 'changed'), pointer)).toBe('changed');
      expect(readMember(BASE, pointer)).not.toBe('changed');
    },
  );

  it('takes a member away', () => {
    const denied = writeMember(BASE, '/policy/authenticators/deny', ['a']);
    expect(pointersOf(denied, writeMember(denied, '/policy/authenticators/deny', null))).toEqual([
      '/policy/authenticators/deny',
    ]);
    expect(
      readMember(writeMember(denied, '/policy/authenticators/deny', null), '/policy/authenticators/deny'),
    ).toBeUndefined();
  });

  it('has a successor as long as that has an RP ID', () => {
    const named = writeMember(BASE, '/successor/rpId', 'b.example');
    expect(named.successor).toEqual({ rpId: 'b.example', endsAt: null, registrations: 'accept' });
    expect(writeMember(named, '/successor/rpId', '').successor).toBeNull();
    expect(writeMember(BASE, '/successor/registrations', 'refuse').successor).toBeNull();
  });

  it.each(['pay', 'a/b~c', '__proto__', 'constructor'])('has a purpose of the name %s', (name) => {
    const pointer = `/policy/purposes/${name.replaceAll('~', '~0').replaceAll('/', '~1')}/backup`;
    const changed = writeMember(BASE, pointer, 'synced');
    expect(pointersOf(BASE, changed)).toEqual([pointer]);
    expect(readMember(changed, pointer)).toBe('synced');
    expect(JSON.stringify(toBody(changed, 3))).toContain(`{"${name}":{"backup":"synced"}}`);
    expect(({} as Record<string, unknown>)['backup']).toBeUndefined();
  });

  it('keeps its changes on top of what somebody else has stored', () => {
    const draft = writeMember(writeMember(BASE, '/policy/backup', 'synced'), '/name', 'Mine');
    const current = writeMember(writeMember(BASE, '/policy/challengeTtlSeconds', 60), '/name', 'Theirs');
    const merged = mergeDraft(BASE, draft, current);
    expect(pointersOf(current, merged)).toEqual(['/name', '/policy/backup']);
    expect(readMember(merged, '/policy/challengeTtlSeconds')).toBe(60);
    expect(merged.name).toBe('Mine');
  });

  it('takes a successor away, also when somebody else has changed it', () => {
    const base = writeMember(BASE, '/successor/rpId', 'b.example');
    const current = writeMember(base, '/successor/rpId', 'c.example');
    expect(mergeDraft(base, BASE, current).successor).toBeNull();
  });

  it('does not change what it was copied from', () => {
    const copy = copySettings(BASE);
    copy.origins.push('https://other.example');
    expect(BASE.origins).toHaveLength(1);
  });
});

describe('the form of a relying party', () => {
  it('has each setting in one group', () => {
    expect(SETTING_GROUPS.flatMap(([, pointers]) => pointers).toSorted()).toEqual(
      PARTY_SETTINGS.map(({ pointer }) => pointer).toSorted(),
    );
  });

  it.each(SCENARIOS)('asks what happens if $question, by changes of settings that exist', ({ changes }) => {
    const changed = changes.reduce((draft, [pointer, value]) => writeMember(draft, pointer, value), BASE);
    expect(pointersOf(BASE, changed).toSorted()).toEqual(changes.map(([pointer]) => pointer).toSorted());
  });

  it.each([
    [null, 'none'],
    [true, 'yes'],
    [[], 'an empty list'],
    [[-7, -8], '-7, -8'],
    [{}, 'none'],
    [{ pay: {}, 'step-up': {} }, 'pay, step-up'],
    ['required', 'required'],
  ])('shows %j as %s', (value, text) => {
    expect(formatValue(value)).toBe(text);
  });
});
