import { describe, expect, it } from '@jest/globals';
import { encode } from 'cborg';
import { type Flags, sha256 } from '../../test/support/authenticator/authenticator-data.js';
import { generateKey } from '../../test/support/authenticator/keys.js';
import { parseAuthenticatorData, verifyAuthenticatorData } from './authenticator-data.js';
import type { Reason } from './refusal.js';

const RP_ID = 'login.example.com';
const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const { cose } = generateKey('ES256');
const ID = Buffer.alloc(32, 7);

const bits = (...names: (keyof Flags)[]): number => {
  const values: Flags & Record<string, number> = { UP: 1, UV: 4, BE: 8, BS: 16, AT: 64, ED: 128 } as never;
  return names.reduce((sum, name) => sum | Number(values[name]), 0);
};

/** Builds authenticator data byte by byte (§6.1). */
const authenticatorData = (flags: number, ...rest: Buffer[]): Buffer =>
  Buffer.concat([sha256(RP_ID), Buffer.from([flags]), Buffer.from('000000ff', 'hex'), ...rest]);

/** Builds attested credential data byte by byte (§6.5.1). */
const attestedData = (id = ID, key: Buffer = cose, length = id.length): Buffer =>
  Buffer.concat([Buffer.from(AAGUID.replaceAll('-', ''), 'hex'), Buffer.from([length >> 8, length & 255]), id, key]);

const extensions = Buffer.from(encode({ credProtect: 2 }));

describe('authenticator data (WebAuthn L3 §6.1)', () => {
  it('has at least 37 bytes', () => {
    expect(parseAuthenticatorData(authenticatorData(bits('UP')))).toMatchObject({
      signCount: 255,
      attested: undefined,
    });
    for (const length of [0, 1, 32, 36]) {
      const cut = authenticatorData(bits('UP')).subarray(0, length);
      expect(() => parseAuthenticatorData(cut)).toThrow('malformed');
    }
  });

  it('has each flag apart from the others, and ignores the reserved ones', () => {
    const flagsOf = (flags: number): boolean[] => {
      const data = parseAuthenticatorData(authenticatorData(flags));
      return [data.userPresent, data.userVerified, data.backupEligible, data.backedUp];
    };
    expect(flagsOf(0)).toEqual([false, false, false, false]);
    expect(flagsOf(bits('UP'))).toEqual([true, false, false, false]);
    expect(flagsOf(bits('UV'))).toEqual([false, true, false, false]);
    expect(flagsOf(bits('BE'))).toEqual([false, false, true, false]);
    expect(flagsOf(bits('BS'))).toEqual([false, false, false, true]);
    expect(flagsOf(0x22)).toEqual([false, false, false, false]);
  });

  it('reads the sign count as 32 bits, big endian', () => {
    const data = authenticatorData(bits('UP'));
    data.writeUInt32BE(4_294_967_295, 33);
    expect(parseAuthenticatorData(data).signCount).toBe(4_294_967_295);
  });

  it('reads attested credential data (§6.5.1)', () => {
    const { attested } = parseAuthenticatorData(authenticatorData(bits('UP', 'AT'), attestedData()));
    expect(attested).toMatchObject({ aaguid: AAGUID, credentialId: ID, publicKey: cose });
    expect(attested?.key.get(3)).toBe(-7);
  });

  it('keeps the public key separate from the extensions behind it', () => {
    const data = authenticatorData(bits('UP', 'AT', 'ED'), attestedData(), extensions);
    expect(parseAuthenticatorData(data).attested?.publicKey).toEqual(cose);
  });

  it('accepts extensions without attested credential data', () => {
    expect(parseAuthenticatorData(authenticatorData(bits('UP', 'ED'), extensions)).attested).toBeUndefined();
  });

  const [at, ed] = [bits('UP', 'AT'), bits('UP', 'ED')];
  it.each<[string, Buffer]>([
    ['a byte too many', authenticatorData(bits('UP'), Buffer.alloc(1))],
    ['attested credential data without AT', authenticatorData(bits('UP'), attestedData())],
    ['AT without attested credential data', authenticatorData(at)],
    ['AT and a part of the AAGUID', authenticatorData(at, attestedData().subarray(0, 15))],
    ['AT and the header alone', authenticatorData(at, attestedData().subarray(0, 18))],
    ['an id that ends early', authenticatorData(at, attestedData().subarray(0, 30))],
    ['an id and no key', authenticatorData(at, attestedData(ID, Buffer.alloc(0)))],
    ['an id longer than the bytes', authenticatorData(at, attestedData(ID, cose, 1_000))],
    ['a key cut short', authenticatorData(at, attestedData().subarray(0, -1))],
    ['a key that is a list', authenticatorData(at, attestedData(ID, Buffer.from([0x80])))],
    ['a key that is a number', authenticatorData(at, attestedData(ID, Buffer.from([0x00])))],
    ['a key twice', authenticatorData(at, attestedData(), cose)],
    ['extensions without ED', authenticatorData(at, attestedData(), extensions)],
    ['ED without extensions', authenticatorData(ed)],
    ['ED and a list', authenticatorData(ed, Buffer.from([0x80]))],
    ['ED and extensions cut short', authenticatorData(ed, extensions.subarray(0, -1))],
    ['ED and two maps', authenticatorData(ed, extensions, extensions)],
  ])('refuses %s', (_, bytes) => {
    expect(() => parseAuthenticatorData(bytes)).toThrow('malformed');
  });

  it.each<[string, Buffer]>([
    ['authenticator data has 36 bytes, not 37 or more', authenticatorData(0).subarray(0, 36)],
    ['authenticator data has 1 bytes too many', authenticatorData(0, Buffer.alloc(1))],
    ['the authenticator data ends within the new credential', authenticatorData(at, attestedData().subarray(0, 17))],
    ['the authenticator data ends within the new credential', authenticatorData(at, attestedData(ID, Buffer.alloc(0)))],
    ['the credential id has 1024 bytes, not 1 to 1,023', authenticatorData(at, attestedData(Buffer.alloc(1_024)))],
    [
      'the credential public key is not a CBOR map (COSE_Key)',
      authenticatorData(at, attestedData(ID, Buffer.from([0x80]))),
    ],
    [
      'credential public key: not CBOR in CTAP2’s canonical form',
      authenticatorData(at, attestedData(ID, Buffer.from([0xff]))),
    ],
    ['the extension outputs of the authenticator data are not a CBOR map', authenticatorData(ed, Buffer.from([0x80]))],
    ['extensions: not CBOR in CTAP2’s canonical form', authenticatorData(ed, Buffer.from([0xff]))],
  ])('says what was wrong: %s', (detail, bytes) => {
    expect(() => parseAuthenticatorData(bytes)).toThrow(expect.objectContaining({ detail }));
  });

  it.each([1, 1_023])('accepts a credential id of %i bytes', (length) => {
    const data = authenticatorData(at, attestedData(Buffer.alloc(length)));
    expect(parseAuthenticatorData(data).attested?.credentialId).toHaveLength(length);
  });

  it('refuses a key of more than 4 KiB, and accepts shorter ones', () => {
    const keyOf = (bytes: number): Buffer => Buffer.from(encode(new Map([[100, Buffer.alloc(bytes)]])));
    expect(keyOf(4_090)).toHaveLength(4_096);
    expect(() => parseAuthenticatorData(authenticatorData(at, attestedData(ID, keyOf(4_090))))).not.toThrow();
    const large = authenticatorData(at, attestedData(ID, keyOf(4_091)));
    expect(() => parseAuthenticatorData(large)).toThrow('public-key-invalid: the key has 4097 bytes, more than 4096');
  });

  it.each([0, 1_024, 65_535])('refuses a credential id of %i bytes', (length) => {
    const data = authenticatorData(at, attestedData(Buffer.alloc(length)));
    expect(() => parseAuthenticatorData(data)).toThrow('credential-id-invalid');
  });

  it('refuses a length of 1,024 even when the bytes are missing, because the length is read first', () => {
    expect(() => parseAuthenticatorData(authenticatorData(at, attestedData(ID, cose, 1_024)))).toThrow('credential-id');
  });
});

describe('both ceremonies check authenticator data (WebAuthn L3 §7.1 steps 14 to 17, §7.2 steps 15 to 18):', () => {
  const demands = { rpId: RP_ID, requireUserPresence: true, requireUserVerification: true };

  it.each<[string, number, Partial<typeof demands>, Reason | 'holds']>([
    ['everything', bits('UP', 'UV', 'BE', 'BS'), {}, 'holds'],
    ['a device-bound credential', bits('UP', 'UV'), {}, 'holds'],
    ['one that can be backed up and is not', bits('UP', 'UV', 'BE'), {}, 'holds'],
    ['another RP ID', bits('UP', 'UV'), { rpId: 'example.com' }, 'rp-id-mismatch'],
    ['no UP', bits('UV'), {}, 'user-presence-missing'],
    ['no UP, where it may be absent', bits('UV'), { requireUserPresence: false }, 'holds'],
    ['no UV', bits('UP'), {}, 'user-verification-missing'],
    ['no UV, where it may be absent', bits('UP'), { requireUserVerification: false }, 'holds'],
    ['no UV, where UP may be absent', bits('UP'), { requireUserPresence: false }, 'user-verification-missing'],
    ['BS without BE', bits('UP', 'UV', 'BS'), {}, 'backup-flags-invalid'],
    ['another RP ID before all else', 0, { rpId: 'example.com' }, 'rp-id-mismatch'],
  ])('%s', (_, flags, changed, outcome) => {
    const data = parseAuthenticatorData(authenticatorData(flags));
    const verify = (): void => {
      verifyAuthenticatorData('§7.1', data, { ...demands, ...changed });
    };
    if (outcome === 'holds') expect(verify).not.toThrow();
    else expect(verify).toThrow(outcome);
  });
});
