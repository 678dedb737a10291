import { describe, expect, it } from '@jest/globals';
import { findWarnings } from './policy-warnings.js';
import { completePolicy } from './relying-party-policy.js';

const AAGUID = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const OWN = ['https://login.example.com'];
const makeRelatedOrigins = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => `https://name${String(n + 1)}.example`);

const U2F = {
  attestation: { conveyance: 'direct', formats: ['fido-u2f'] },
  userVerification: 'preferred',
  residentKey: 'preferred',
};
const TPM = { conveyance: 'direct', trust: 'trusted', formats: ['tpm', 'none'] };

function findPolicyWarnings(policy: object, origins: readonly string[] = OWN) {
  return findWarnings(
    { rpId: 'login.example.com', origins, policy: completePolicy(policy), successor: null },
    { hasEnded: false },
  );
}

describe('the settings of a relying party', () => {
  it.each<[string, object, string[]]>([
    ['the defaults', {}, OWN],
    ['five related names', {}, makeRelatedOrigins(5)],
    ['five related names and the own one', {}, [...OWN, ...makeRelatedOrigins(5)]],
    ['trusted attestation that is asked for', { attestation: { conveyance: 'direct', trust: 'trusted' } }, OWN],
    ['device-bound passkeys with attestation', { attestation: { conveyance: 'direct' }, backup: 'device-bound' }, OWN],
    ['the format none alone, with trust any', { attestation: { formats: ['none'] } }, OWN],
    ['models that are denied', { authenticators: { deny: [AAGUID] } }, OWN],
    ['U2F keys among others', { attestation: { conveyance: 'direct', formats: ['fido-u2f', 'packed'] } }, OWN],
    ['U2F keys alone, from which nothing more is demanded', U2F, OWN],
    ['TPMs alone, which need not be trusted', { attestation: { conveyance: 'direct', formats: ['tpm'] } }, OWN],
    ['an app', {}, [`android:apk-key-hash:${'A'.repeat(43)}`]],
    ['top origins that may frame', { crossOrigin: { allow: true, topOrigins: ['https://top.example'] } }, OWN],
    ['20 passkeys', { maxCredentialsPerUser: 20 }, OWN],
    [
      'purposes that demand more',
      {
        userVerification: 'preferred',
        attestation: { conveyance: 'direct' },
        purposes: {
          'step-up': { userVerification: 'required', challengeTtlSeconds: 60 },
          pay: { backup: 'device-bound', attestation: 'trusted' },
        },
      },
      OWN,
    ],
    [
      'purposes that repeat the policy, and one that demands nothing',
      {
        backup: 'synced',
        purposes: { pay: { userVerification: 'required', challengeTtlSeconds: 300, backup: 'synced' }, look: {} },
      },
      OWN,
    ],
    ['a purpose with attestation any, where the policy trusts any', { purposes: { pay: { attestation: 'any' } } }, OWN],
  ])('give no warning for %s', (_, policy, origins) => {
    expect(findPolicyWarnings(policy, origins)).toEqual([]);
  });

  const none = '/policy/attestation/conveyance';
  it.each<[string, object, string[]]>([
    ['trust without attestation', { attestation: { trust: 'trusted' } }, [none]],
    ['device-bound without attestation', { backup: 'device-bound' }, ['/policy/backup']],
    [
      'formats without none, and no attestation',
      { attestation: { formats: ['packed'] } },
      ['/policy/attestation/formats'],
    ],
    [
      'trust by the format none',
      { attestation: { conveyance: 'direct', trust: 'trusted', formats: ['none'] } },
      ['/policy/attestation/formats'],
    ],
    [
      'device-bound by the format none',
      { attestation: { conveyance: 'direct', formats: ['none'] }, backup: 'device-bound' },
      ['/policy/attestation/formats'],
    ],
    [
      'trusted and synced',
      { attestation: { conveyance: 'direct', trust: 'trusted' }, backup: 'synced' },
      ['/policy/backup'],
    ],
    ['U2F keys alone that verify the user', { ...U2F, userVerification: 'required' }, ['/policy/userVerification']],
    ['U2F keys alone that keep passkeys', { ...U2F, residentKey: 'required' }, ['/policy/residentKey']],
    ['U2F keys alone without ES256', { ...U2F, algorithms: [-257] }, ['/policy/algorithms', '/policy/algorithms']],
    ['U2F keys alone that are backed up', { ...U2F, backup: 'synced' }, ['/policy/backup']],
    [
      'U2F keys alone that are trusted',
      {
        ...U2F,
        userVerification: 'required',
        attestation: { ...U2F.attestation, trust: 'trusted', formats: ['none', 'fido-u2f'] },
      },
      ['/policy/userVerification'],
    ],
    ['TPMs alone without SHA-1', { attestation: TPM }, ['/policy/allowSha1Tpm']],
    [
      'device-bound TPMs alone without SHA-1',
      { attestation: { ...TPM, trust: 'any' }, backup: 'device-bound' },
      ['/policy/allowSha1Tpm'],
    ],
    ['an empty list of models', { authenticators: { allow: [] } }, ['/policy/authenticators/allow']],
    [
      'models that are allowed and denied',
      { authenticators: { allow: [AAGUID], deny: [AAGUID] } },
      ['/policy/authenticators/allow'],
    ],
    ['a list of models without attestation', { authenticators: { allow: [AAGUID] } }, ['/policy/authenticators/allow']],
    [
      'known models only, without attestation',
      { authenticators: { unknown: 'deny' } },
      ['/policy/authenticators/unknown'],
    ],
    ['no common algorithm', { algorithms: [-48] }, ['/policy/algorithms']],
    ['no ES256', { algorithms: [-257] }, ['/policy/algorithms']],
    ['no RS256', { algorithms: [-7] }, ['/policy/algorithms']],
    ['more passkeys than Firefox reads', { maxCredentialsPerUser: 21 }, ['/policy/maxCredentialsPerUser']],
    [
      'top origins that have no effect',
      { crossOrigin: { topOrigins: ['https://top.example'] } },
      ['/policy/crossOrigin/topOrigins'],
    ],
    ['any top origin', { crossOrigin: { allow: true } }, ['/policy/crossOrigin/topOrigins']],
    [
      'an empty list of top origins',
      { crossOrigin: { allow: true, topOrigins: [] } },
      ['/policy/crossOrigin/topOrigins'],
    ],
    [
      'a purpose that demands less',
      {
        backup: 'synced',
        attestation: { conveyance: 'direct', trust: 'any' },
        purposes: {
          look: { userVerification: 'preferred', challengeTtlSeconds: 301, backup: 'any', attestation: 'any' },
        },
      },
      ['userVerification', 'challengeTtlSeconds', 'backup'].map((member) => `/policy/purposes/look/${member}`),
    ],
    [
      'a purpose that takes passkeys without the attestation that the policy demands',
      { attestation: { conveyance: 'direct', trust: 'trusted' }, purposes: { 'add/any': { attestation: 'any' } } },
      ['/policy/purposes/add~1any/attestation'],
    ],
    [
      'purposes that no passkey can meet, without attestation',
      { purposes: { pay: { attestation: 'trusted' }, bound: { backup: 'device-bound' } } },
      ['/policy/purposes/pay', '/policy/purposes/bound'],
    ],
    [
      'U2F keys alone for a purpose that verifies the user',
      { ...U2F, purposes: { pay: { userVerification: 'required' } } },
      ['/policy/purposes/pay'],
    ],
    [
      'what the policy says already, but not again for each purpose',
      { attestation: { trust: 'trusted' }, purposes: { pay: { attestation: 'trusted' } } },
      [none],
    ],
  ])('warn of %s', (_, policy, pointers) => {
    expect(findPolicyWarnings(policy).map(({ pointer }) => pointer)).toEqual(pointers);
  });

  const findRpIdWarnings = (rpId: string) =>
    findWarnings(
      { rpId, origins: [`https://${rpId}`], policy: completePolicy({}), successor: null },
      { hasEnded: false },
    );

  it.each(['com', 'co.uk', 'github.io', 'vercel.app', 'ck', 'xn--p1ai', 'intranet'])(
    'warn of the RP ID %s, because browsers refuse a public suffix',
    (rpId) => {
      const detail = expect.stringContaining(`browsers refuse ${rpId}, a public suffix`);
      expect(findRpIdWarnings(rpId)).toEqual([{ pointer: '/rpId', detail }]);
    },
  );

  it.each(['localhost', 'example.com', 'bank.co.uk', 'ada.github.io', 'www.ck', 'auth.bank.internal'])(
    'give no warning for the RP ID %s',
    (rpId) => {
      expect(findRpIdWarnings(rpId)).toEqual([]);
    },
  );

  it('name the related origins that browsers ignore', () => {
    const [warning] = findPolicyWarnings({}, makeRelatedOrigins(7));
    expect(warning).toMatchObject({ pointer: '/origins', detail: expect.stringContaining('name6, name7') });
  });

  it('give no warning for TPMs alone with SHA-1', () => {
    expect(findPolicyWarnings({ attestation: TPM, allowSha1Tpm: true })).toEqual([]);
  });

  it('name the origins at which no browser uses the RP ID', () => {
    const [warning, ...others] = findPolicyWarnings({}, [...OWN, 'https://intranet', 'http://localhost:3000']);
    expect(warning).toMatchObject({
      pointer: '/origins',
      detail: expect.stringContaining('at https://intranet, http://localhost:3000: '),
    });
    expect(others).toEqual([]);
  });

  it('give short warnings, however many origins there are', () => {
    const long = Array.from({ length: 50 }, (_, n) => `https://${'x'.repeat(60)}${String(n)}.example`);
    const strange = Array.from({ length: 50 }, (_, n) => `https://${'x'.repeat(60)}${String(n)}`);
    for (const { detail } of findPolicyWarnings({}, [...long, ...strange])) expect(detail.length).toBeLessThan(1_000);
  });
});
