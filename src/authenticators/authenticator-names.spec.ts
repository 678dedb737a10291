import { describe, expect, it } from '@jest/globals';
import { isText } from '../http/validators.js';
import names from './aaguid-names.json' with { type: 'json' };
import { findAuthenticatorName } from './authenticator-names.js';

const ENTRIES = Object.entries(names);

describe('the names of authenticators', () => {
  it.each(ENTRIES)('include %s for %s, which can be a credential’s name', (aaguid, name) => {
    expect(aaguid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(isText(name, 1, 64)).toBe(true);
    expect(findAuthenticatorName(aaguid)).toBe(name);
  });

  it('are in order, so that none is listed twice', () => {
    const aaguids = ENTRIES.map(([aaguid]) => aaguid);
    expect(aaguids).toEqual([...new Set(aaguids)].sort());
  });

  it.each([
    '00000000-0000-0000-0000-000000000000',
    '',
    'constructor',
    '__proto__',
    'FA2B99DC-9E39-4257-8F92-4A30D23C4118',
  ])('do not include "%s"', (aaguid) => {
    expect(findAuthenticatorName(aaguid)).toBeUndefined();
  });
});
