import { describe, expect, it } from '@jest/globals';
import { COSE, ID, KEY, LINE, readDump as read, toCsv } from '../../test/support/foreign-dumps.js';
import { DumpError } from './row.js';

describe('SimpleWebAuthn and py_webauthn', () => {
  it('are read by the names of their documentation, with the user inside or beside', async () => {
    const row = {
      id: LINE.credentialId,
      publicKey: JSON.parse(JSON.stringify(KEY)) as unknown,
      user: { id: 42, username: 'ada' },
      webAuthnUserID: 'AQID',
      counter: 1,
      deviceType: 'multiDevice',
      backedUp: true,
      transports: ['internal'],
    };
    const { lines } = await read('simplewebauthn', JSON.stringify([row]));
    expect(lines).toMatchObject([{ ...LINE, userId: '42', userHandle: 'AQID', backupEligible: true, backedUp: true }]);
    const flat = {
      cred_id: row.id,
      cred_public_key: `\\x${KEY.toString('hex')}`,
      internal_user_id: '42',
      webauthn_user_id: 'AQID',
      counter: '1',
      backup_eligible: 't',
      backup_status: 't',
      transports: 'internal',
    };
    expect((await read('simplewebauthn', toCsv(flat))).lines).toEqual(lines);
  });

  it.each([
    ['single_device', false],
    ['multi_device', true],
    ['CredentialDeviceType.MULTI_DEVICE', true],
  ])('reads py_webauthn’s device type %s', async (type, backupEligible) => {
    const row = {
      credential_id: `\\x${ID.toString('hex')}`,
      credential_public_key: `\\x${KEY.toString('hex')}`,
      user_id: '1',
      sign_count: '0',
      aaguid: '',
      credential_device_type: type,
      credential_backed_up: 'f',
      user_handle: '',
    };
    expect((await read('py-webauthn', toCsv(row))).lines).toEqual([
      { ...LINE, userId: '1', signCount: 0, backupEligible, backedUp: false, source: 'py-webauthn' },
    ]);
  });
});

describe('WebAuthn4J', () => {
  const COMMON = {
    ...LINE,
    userId: 'ada',
    userHandle: 'AQID',
    signCount: 2,
    backupEligible: true,
    backedUp: false,
    source: 'webauthn4j',
  };

  it('is read from Spring Security’s user_credentials', async () => {
    const row = {
      credential_id: LINE.credentialId,
      user_entity_user_id: 'AQID',
      public_key: `\\x${KEY.toString('hex')}`,
      signature_count: '2',
      uv_initialized: 't',
      backup_eligible: 't',
      authenticator_transports: 'usb,nfc',
      public_key_credential_type: 'public-key',
      backup_state: 'f',
      attestation_object: '',
      attestation_client_data_json: '',
      created: '2026-11-30 20:36:57.918',
      last_used: '2026-11-30 20:36:58',
      label: 'Key',
      user_id: 'ada',
    };
    expect((await read('webauthn4j', toCsv(row))).lines).toEqual([
      {
        ...COMMON,
        transports: ['usb', 'nfc'],
        name: 'Key',
        createdAt: '2026-11-30T20:36:57.918Z',
        lastUsedAt: '2026-11-30T20:36:58.000Z',
      },
    ]);
  });

  it('is read from the table of its samples', async () => {
    const row = {
      id: '1',
      name: 'Key',
      user_id: 'ada',
      counter: '2',
      backup_eligible: '1',
      backed_up: '0',
      aaguid: '0'.repeat(32),
      credential_id: ID.toString('hex'),
      cose_key: KEY.toString('hex'),
      user_handle: '\\x010203',
      transports: '',
    };
    expect((await read('webauthn4j', toCsv(row))).lines).toEqual([
      { ...COMMON, name: 'Key', aaguid: '00000000-0000-0000-0000-000000000000' },
    ]);
  });

  it('is read from attested credential data', async () => {
    const attested = Buffer.concat([Buffer.alloc(16, 1), Buffer.of(0, ID.length), ID, KEY]);
    const row = { attested_credential_data: attested.toString('base64url'), counter: '2', user_id: 'ada' };
    expect((await read('webauthn4j', toCsv(row))).lines).toMatchObject([
      { ...LINE, aaguid: '01010101-0101-0101-0101-010101010101' },
    ]);
    const cut = { ...row, attested_credential_data: attested.subarray(0, 30).toString('base64url') };
    expect((await read('webauthn4j', toCsv(cut))).faults).toEqual(['2: attested_credential_data is cut short']);
  });
});

describe('CSV', () => {
  const SPKI =
    '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAvYVqgNVlTibSIeoyAyqBhxf0SvGMqgR68qo2wJn/2V8=\n-----END PUBLIC KEY-----\n';
  const ROW = { credentialId: LINE.credentialId, userId: 'u-1', publicKey: COSE, signCount: '0' };

  it('takes a key as COSE, SPKI in PEM or DER, and as JWK', async () => {
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: 'vYVqgNVlTibSIeoyAyqBhxf0SvGMqgR68qo2wJn_2V8' };
    const der = SPKI.split('\n')[1]!;
    const keys = [COSE, SPKI, der, JSON.stringify(jwk)];
    const read1 = async (publicKey: string) => (await read('csv', toCsv({ ...ROW, publicKey }))).lines[0]?.publicKey;
    expect(await Promise.all(keys.map(read1))).toEqual([LINE.publicKey, SPKI, SPKI, jwk]);
  });

  it('reads every column that is documented, and leaves out what is empty', async () => {
    const full = {
      ...ROW,
      algorithm: '-8',
      userHandle: 'AQID',
      backupEligible: 'true',
      backedUp: 'false',
      transports: 'usb',
      aaguid: '01020304-0506-0708-0102-030405060708',
      name: 'Key',
      createdAt: '1796071017',
      lastUsedAt: '',
      discoverable: 'true',
    };
    expect((await read('csv', toCsv(full))).lines).toEqual([
      {
        ...LINE,
        userId: 'u-1',
        signCount: 0,
        algorithm: -8,
        userHandle: 'AQID',
        backupEligible: true,
        backedUp: false,
        transports: ['usb'],
        aaguid: full.aaguid,
        name: 'Key',
        createdAt: '2026-11-30T20:36:57.000Z',
        discoverable: true,
        source: 'csv',
      },
    ]);
    expect((await read('csv', toCsv(ROW))).lines).toEqual([{ ...LINE, userId: 'u-1', signCount: 0, source: 'csv' }]);
  });

  it('leaves out the rows of other relying parties', async () => {
    const { tally } = await read('csv', toCsv({ ...ROW, rp_id: 'a.example' }), 'b.example');
    expect(tally).toEqual({ rows: 1, passkeys: 0, faults: 0, others: 1 });
  });

  it.each([
    [{ publicKey: 'AAAA' }, 'publicKey is neither a COSE_Key nor a SubjectPublicKeyInfo'],
    [{ publicKey: '{"kty":1}' }, 'publicKey is no JSON Web Key'],
    [{ publicKey: '' }, 'publicKey is empty'],
    [{ credentialId: 'a b' }, 'credentialId is neither hex nor base64 nor base64url'],
    [{ userId: '' }, 'userId is empty'],
    [{ userId: 'a\0' }, 'userId has a NUL character'],
    [{ signCount: '-1' }, 'signCount is not an integer from 0 to 4294967295'],
  ])('names what is wrong with %j', async (change, fault) => {
    const { faults, lines } = await read('csv', toCsv({ ...ROW, ...change }));
    expect({ faults, lines }).toEqual({ faults: [`2: ${fault}`], lines: [] });
  });

  it('cuts a name that is too long, and shows none that cannot be shown', async () => {
    const name = async (text: string) => (await read('csv', toCsv({ ...ROW, name: text }))).lines[0]?.name;
    expect(await name(`Ada’s\tkey ${'😀'.repeat(100)}`)).toBe(`Ada’s key ${'😀'.repeat(53)}…`);
    expect(await name(' \u0007 ')).toBeUndefined();
  });

  it('is refused as a whole without the columns that it needs', async () => {
    await expect(read('csv', 'credentialId,userId\n')).rejects.toThrow(
      new DumpError('lacks columns: publicKey, signCount; its first line names credentialId, userId'),
    );
    await expect(read('hanko', 'id,user\n')).rejects.toThrow('lacks columns: user_id, public_key, sign_count');
  });
});
