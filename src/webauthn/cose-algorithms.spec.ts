import { describe, expect, it } from '@jest/globals';
import { packedSelf } from '../../test/support/authenticator/attestation.js';
import { type AlgorithmName, COSE } from '../../test/support/authenticator/keys.js';
import { runAuthentication, runRegistration } from '../../test/support/pure-ceremonies.js';
import { ALGORITHMS, COSE_ALGORITHMS, describeAlgorithm } from './cose.js';

const NAMES = ALGORITHMS.map(({ name }) => name as AlgorithmName);

describe('the algorithms', () => {
  it('are listed in order of preference', () => {
    expect(ALGORITHMS.map(({ name, cose }) => [name, cose])).toEqual([
      ...[
        ['ML-DSA-44', -48],
        ['EdDSA', -8],
        ['ES256', -7],
        ['RS256', -257],
      ], // offered
      ...[
        ['ES384', -35],
        ['ES512', -36],
        ['PS256', -37],
        ['ML-DSA-65', -49],
        ['ML-DSA-87', -50],
      ],
    ]);
    expect(ALGORITHMS.filter(({ offered }) => offered).map(({ cose }) => cose)).toEqual([-48, -8, -7, -257]);
  });

  it('have the identifiers of the COSE registry', () => {
    expect(new Set(COSE_ALGORITHMS)).toEqual(new Set(NAMES.map((name) => COSE[name])));
  });

  it.each<[unknown, string]>([
    [-7, 'ES256 (-7)'],
    [-47, 'the algorithm -47'],
    [-(2n ** 60n), 'the algorithm -1152921504606846976'],
    ['x'.repeat(40_000), 'an algorithm that is not a number'],
    [undefined, 'an algorithm that is not a number'],
  ])('have a name for people in a few words: %#', (cose, name) => {
    expect(describeAlgorithm(cose)).toBe(name);
  });

  it.each(NAMES)('%s registers', async (algorithm) => {
    expect(await runRegistration({ model: { algorithm } })).toMatchObject({ algorithm: COSE[algorithm] });
  });

  it.each(NAMES)('%s authenticates', async (algorithm) => {
    expect(await runAuthentication({ model: { algorithm } })).toMatchObject({ userVerified: true });
  });

  it.each(NAMES)('%s attests itself', async (algorithm) => {
    const ceremony = runRegistration({ model: { algorithm, attestation: packedSelf } });
    expect(await ceremony).toMatchObject({ attestation: { format: 'packed', trust: 'self' } });
  });
});
