import type { PublicKeyCredentialDescriptorJSON } from '@simplewebauthn/server';
import { describe, expect, it } from '@jest/globals';
import { makeCreationOptions, type OptionsPolicy, makeRequestOptions } from './options.js';

const POLICY: OptionsPolicy = {
  userVerification: 'required',
  residentKey: 'required',
  attestation: { conveyance: 'direct' },
  algorithms: [-48, -8, -7, -257],
  challengeTtlSeconds: 120,
};
const CHALLENGE = Buffer.alloc(32, 0xfb);
const HANDLE = Buffer.alloc(32, 0xff);
const DESCRIPTOR: PublicKeyCredentialDescriptorJSON = { type: 'public-key', id: 'AAAA', transports: ['internal'] };

const creation = (changed: Partial<Parameters<typeof makeCreationOptions>[0]> = {}) =>
  makeCreationOptions({
    rp: { id: 'login.example.com', name: 'Example' },
    user: { handle: HANDLE, name: 'ada@example.com', displayName: 'Ada' },
    challenge: CHALLENGE,
    policy: POLICY,
    exclude: [],
    attachment: undefined,
    hints: undefined,
    conditional: false,
    payment: false,
    ...changed,
  });

const request = (changed: Partial<Parameters<typeof makeRequestOptions>[0]> = {}) =>
  makeRequestOptions({
    rpId: 'login.example.com',
    challenge: CHALLENGE,
    policy: POLICY,
    allow: [],
    hints: undefined,
    ...changed,
  });

describe('creation options (WebAuthn L3 §5.4, as §5.1.9 reads them)', () => {
  it('have exactly these members', async () => {
    expect(await creation()).toEqual({
      rp: { id: 'login.example.com', name: 'Example' },
      user: { id: HANDLE.toString('base64url'), name: 'ada@example.com', displayName: 'Ada' },
      challenge: CHALLENGE.toString('base64url'),
      pubKeyCredParams: [-48, -8, -7, -257].map((alg) => ({ type: 'public-key', alg })),
      timeout: 120_000,
      excludeCredentials: [],
      authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
      attestation: 'direct',
      extensions: { credProps: true },
    });
  });

  it.each([
    ['required', true],
    ['preferred', false],
    ['discouraged', false],
  ] as const)(
    'give level 1 clients residentKey %s as requireResidentKey %s',
    async (residentKey, requireResidentKey) => {
      const { authenticatorSelection } = await creation({ policy: { ...POLICY, residentKey } });
      expect(authenticatorSelection).toMatchObject({ residentKey, requireResidentKey });
    },
  );

  it('ask for an attachment and give hints (level 3) only when the caller asked for them', async () => {
    const asked = await creation({ attachment: 'cross-platform', hints: ['security-key', 'hybrid'] });
    expect(asked.authenticatorSelection).toMatchObject({ authenticatorAttachment: 'cross-platform' });
    expect(asked.hints).toEqual(['security-key', 'hybrid']);
    expect(await creation()).not.toHaveProperty('hints');
    expect((await creation()).authenticatorSelection).not.toHaveProperty('authenticatorAttachment');
  });

  it.each([
    ['required', 'required'],
    ['preferred', 'preferred'],
    ['discouraged', 'preferred'],
  ] as const)(
    'ask for a passkey that confirms payments in the only way that a browser takes (SPC §5), with residentKey %s as %s',
    async (residentKey, asked) => {
      const policy = { ...POLICY, residentKey, userVerification: 'discouraged' } as const;
      expect(await creation({ policy, attachment: 'platform', payment: true })).toMatchObject({
        authenticatorSelection: {
          authenticatorAttachment: 'platform',
          residentKey: asked,
          requireResidentKey: asked === 'required',
          userVerification: 'required',
        },
        extensions: {
          credProps: true,
          payment: {
            isPayment: true,
            browserBoundPubKeyCredParams: [
              { type: 'public-key', alg: -7 },
              { type: 'public-key', alg: -257 },
            ],
          },
        },
      });
    },
  );

  it('exclude the passkeys of the user', async () => {
    expect((await creation({ exclude: [DESCRIPTOR] })).excludeCredentials).toEqual([DESCRIPTOR]);
  });

  it.each(['none', 'indirect', 'direct', 'enterprise'] as const)('ask for %s attestation', async (conveyance) => {
    expect((await creation({ policy: { ...POLICY, attestation: { conveyance } } })).attestation).toBe(conveyance);
  });
});

describe('request options (WebAuthn L3 §5.5, as §5.1.10 reads them)', () => {
  it('have exactly these members', async () => {
    expect(await request()).toEqual({
      challenge: CHALLENGE.toString('base64url'),
      rpId: 'login.example.com',
      timeout: 120_000,
      allowCredentials: [],
      userVerification: 'required',
    });
  });

  it('allow the passkeys of the user, and give hints when the caller asked for them', async () => {
    expect(await request({ allow: [DESCRIPTOR], hints: ['client-device'] })).toMatchObject({
      allowCredentials: [DESCRIPTOR],
      hints: ['client-device'],
    });
  });
});
