import { describe, expect, it } from '@jest/globals';
import names from '../src/authenticators/aaguid-names.json' with { type: 'json' };
import { mergeNames } from '../tools/merge-names.js';

const ONE = '11111111-1111-4111-8111-111111111111';
const TWO = '22222222-2222-4222-8222-222222222222';
const TABLE = { [TWO]: 'Two' };

describe('npm run names', () => {
  it('adds names and renames models, in order, and takes nothing else from the list', () => {
    const list = { [ONE.toUpperCase()]: { name: 'One', icon_light: 'data:' }, [TWO]: { name: 'Second' } };
    expect(mergeNames(TABLE, list)).toEqual({
      names: { [ONE]: 'One', [TWO]: 'Second' },
      changes: [`added ${ONE}: One`, `renamed ${TWO}: Two to Second`],
    });
    expect(Object.keys(mergeNames(TABLE, list).names)).toEqual([ONE, TWO]);
  });

  it('keeps the models that the list does not have, because their users sign in where unknown models are denied', () => {
    expect(mergeNames(TABLE, { [ONE]: { name: 'One' } }).names).toEqual({ [ONE]: 'One', [TWO]: 'Two' });
  });

  it.each<[string, string, unknown]>([
    ['a key that is not an AAGUID', 'x', { name: 'X' }],
    ['an entry without a name', ONE, {}],
    ['an entry that is null', ONE, null],
    ['a name that is not text', ONE, { name: 7 }],
    ['a name with a line break', ONE, { name: 'One\nTwo' }],
    ['an empty name', ONE, { name: '' }],
    ['a name of 65 characters', ONE, { name: 'x'.repeat(65) }],
  ])('skips %s, reports it, and takes the rest', (_, key, entry) => {
    const { names: merged, changes } = mergeNames({}, { [key]: entry, [TWO]: { name: 'Two' } });
    expect(merged).toEqual(TABLE);
    expect(changes).toEqual([`added ${TWO}: Two`, `skipped "${key}": it is not an AAGUID with a name`]);
  });

  it.each([{}, [], null, 'text', { x: 1 }])('refuses a list without names: %j', (list) => {
    expect(() => mergeNames(TABLE, list)).toThrow('the list');
  });

  it.each([
    'Microsoft Password Manager',
    'LastPass',
    'KeePassDX',
    'Norton Password Manager',
    'YubiKey 5 Series with NFC',
  ])('filled the table with %s', (name) => {
    expect(Object.values(names)).toContain(name);
  });
});
