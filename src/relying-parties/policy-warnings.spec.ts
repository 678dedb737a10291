import { describe, expect, it } from '@jest/globals';
import { warningsOf } from './policy-warnings.js';
import { wholePolicy } from './relying-party-policy.js';

const AAGUID = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const OWN = ['https://login.example.com'];
const related = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => `https://name${String(n + 1)}.example`);

function warnings(policy: object, origins: readonly string[] = OWN) {
  return warningsOf({
    rpId: 'login.example.com',
    origins,
    policy: wholePolicy(policy),
  });
}

describe('the settings of a relying party', () => {
  it.each<[string, object, string[]]>([
    ['the defaults', {}, OWN],
    ['five related names', {}, related(5)],
    ['five related names and the own one', {}, [...OWN, ...related(5)]],
    ['trusted attestation that is asked for', { attestation: { conveyance: 'direct', trust: 'trusted' } }, OWN],
    ['device-bound passkeys with attestation', { attestation: { conveyance: 'direct' }, backup: 'device-bound' }, OWN],
    ['the format none alone, with trust any', { attestation: { formats: ['none'] } }, OWN],
    ['models that are denied', { authenticators: { deny: [AAGUID] } }, OWN],
    ['20 passkeys', { maxCredentialsPerUser: 20 }, OWN],
  ])('give no warning for %s', (_, policy, origins) => {
    expect(warnings(policy, origins)).toEqual([]);
  });

  const none = '/policy/attestation/conveyance';
  it.each<[string, object, string[]]>([
    ['trust without attestation', { attestation: { trust: 'trusted' } }, [none]],
    ['device-bound without attestation', { backup: 'device-bound' }, ['/policy/backup']],
    ['formats without none, and no attestation', { attestation: { formats: ['packed'] } }, ['/policy/attestation/formats']],
    ['trust by the format none', { attestation: { conveyance: 'direct', trust: 'trusted', formats: ['none'] } }, ['/policy/attestation/formats']],
    ['device-bound by the format none', { attestation: { conveyance: 'direct', formats: ['none'] }, backup: 'device-bound' }, ['/policy/attestation/formats']],
    ['trusted and synced', { attestation: { conveyance: 'direct', trust: 'trusted' }, backup: 'synced' }, ['/policy/backup']],
    ['an empty list of models', { authenticators: { allow: [] } }, ['/policy/authenticators/allow']],
    ['models that are allowed and denied', { authenticators: { allow: [AAGUID], deny: [AAGUID] } }, ['/policy/authenticators/allow']],
    ['a list of models without attestation', { authenticators: { allow: [AAGUID] } }, ['/policy/authenticators/allow']],
    ['known models only, without attestation', { authenticators: { unknown: 'deny' } }, ['/policy/authenticators/unknown']],
    ['no common algorithm', { algorithms: [-48] }, ['/policy/algorithms']],
    ['no ES256', { algorithms: [-257] }, ['/policy/algorithms']],
    ['no RS256', { algorithms: [-7] }, ['/policy/algorithms']],
    ['more passkeys than Firefox reads', { maxCredentialsPerUser: 21 }, ['/policy/maxCredentialsPerUser']],
    ['top origins that have no effect', { crossOrigin: { topOrigins: ['https://top.example'] } }, ['/policy/crossOrigin/topOrigins']],
  ])('warn of %s', (_, policy, pointers) => {
    expect(warnings(policy).map(({ pointer }) => pointer)).toEqual(pointers);
  }); // prettier-ignore

  it('name the related origins that browsers ignore', () => {
    const [warning] = warnings({}, related(7));
    expect(warning).toMatchObject({ pointer: '/origins', detail: expect.stringContaining('name6, name7') });
  });
});
