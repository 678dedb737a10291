import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ID, KEY, LINE, MOVED_PASSKEYS, readDump as read, toCsv } from '../../test/support/foreign-dumps.js';

interface Held {
  readonly credentialId: string;
  readonly userHandle?: string;
  readonly signCount: number;
}
const HELD = JSON.parse(readFileSync(`${MOVED_PASSKEYS}/authenticators.json`, 'utf8')) as Record<string, Held[]>;
const toBase64url = (text = ''): string => Buffer.from(text, 'base64').toString('base64url');

describe('the dump of a server that really ran', () => {
  it.each(['csv', 'json'])(
    'of Better Auth gives every passkey, without the handle that it forgets (%s)',
    async (form) => {
      const { lines, tally } = await read('better-auth', readFileSync(`${MOVED_PASSKEYS}/better-auth.${form}`));
      expect(lines.map(({ credentialId }) => credentialId)).toEqual(
        HELD['better-auth']!.map(({ credentialId }) => toBase64url(credentialId)),
      );
      expect(lines.map(({ userHandle }) => userHandle)).toEqual([undefined, undefined, undefined]);
      expect(lines.map(({ backupEligible, backedUp }) => [backupEligible, backedUp])).toEqual([
        [true, true],
        [false, false],
        [true, false],
      ]);
      expect(lines[0]).toMatchObject({
        userId: '1qzxzv2dLugNHg0vhnezOzvCPd6cWgjL',
        signCount: HELD['better-auth']![0]!.signCount,
        transports: ['internal'],
        aaguid: '01020304-0506-0708-0102-030405060708',
        name: 'Ada’s "work" laptop, the old one',
        createdAt: '2026-11-30T20:35:09.075Z',
        source: 'better-auth',
      });
      expect(tally).toEqual({ rows: 3, passkeys: 3, faults: 0, others: 0 });
    },
  );

  it.each(['csv', 'json'])(
    'of SimpleWebAuthn’s tutorial gives the handle that each authenticator holds (%s)',
    async (form) => {
      const { lines } = await read('simplewebauthn', readFileSync(`${MOVED_PASSKEYS}/simplewebauthn.${form}`));
      const held = HELD['simplewebauthn']!;
      expect(lines.map(({ credentialId }) => credentialId)).toEqual(
        held.map(({ credentialId }) => toBase64url(credentialId)),
      );
      const [first, second] = held.map(({ userHandle }) => toBase64url(userHandle));
      expect(lines.map(({ userHandle }) => userHandle).slice(0, 2)).toEqual([first, second]);
      expect(first).not.toBe(second);
      expect(lines.map(({ userId, signCount }) => [userId, signCount])).toEqual([
        ['1', 2],
        ['1', 5],
        ['2', 1],
      ]);
      expect(lines.map(({ publicKey }) => Buffer.from(publicKey as string, 'base64url').length)).toEqual([
        1_322, 77, 272,
      ]);
      expect(lines[1]).toMatchObject({ createdAt: '2026-11-30T20:36:58.187Z', lastUsedAt: '2026-11-30T20:36:58.563Z' });
    },
  );
});

describe('Hanko', () => {
  const ROW = {
    id: ID.toString('base64url'),
    user_id: 'b5dd5267-b462-48be-b70d-bcd6f1bbe7a5',
    public_key: KEY.toString('base64url'),
    attestation_type: 'none',
    aaguid: '00000000-0000-0000-0000-000000000000',
    sign_count: '3',
    created_at: '2025-12-31 23:59:59',
    updated_at: '2026-01-01 00:00:00',
    name: '',
    backup_eligible: 'f',
    backup_state: 'f',
    last_used_at: '2026-01-01 00:00:00.123456',
    mfa_only: 'f',
    user_handle_id: '',
    handle: '',
    transports: 'internal,hybrid',
  };

  it('takes the 16 bytes of the user id for the handle', async () => {
    expect((await read('hanko', toCsv(ROW))).lines).toEqual([
      {
        ...LINE,
        userId: ROW.user_id,
        userHandle: Buffer.from(ROW.user_id.replaceAll('-', ''), 'hex').toString('base64url'),
        signCount: 3,
        backupEligible: false,
        backedUp: false,
        transports: ['internal', 'hybrid'],
        aaguid: ROW.aaguid,
        createdAt: '2025-12-31T23:59:59.000Z',
        lastUsedAt: '2026-01-01T00:00:00.123Z',
        discoverable: true,
        source: 'hanko',
      },
    ]);
  });

  it('takes the text of a handle that Hanko imported itself', async () => {
    const { lines } = await read('hanko', toCsv({ ...ROW, handle: 'legacy-7' }));
    expect(lines[0]?.userHandle).toBe(Buffer.from('legacy-7').toString('base64url'));
  });

  it('leaves the backup flags out that stand only for the default of their columns', async () => {
    const { lines } = await read('hanko', toCsv({ ...ROW, last_used_at: '' }));
    expect(lines[0]).not.toHaveProperty('backupEligible');
    expect(lines[0]).not.toHaveProperty('backedUp');
    const told = await read('hanko', toCsv({ ...ROW, last_used_at: '', backup_eligible: 't', backup_state: 't' }));
    expect(told.lines[0]).toMatchObject({ backupEligible: true, backedUp: true });
  });

  it('does not take a second factor for discoverable', async () => {
    expect((await read('hanko', toCsv({ ...ROW, mfa_only: 't' }))).lines[0]).not.toHaveProperty('discoverable');
  });
});

describe('Keycloak', () => {
  const USER = '8d0ae0e5-3a31-4a55-8b9c-6e2a3a1f0c11';
  const DATA = {
    aaguid: '01020304-0506-0708-0102-030405060708',
    credentialId: ID.toString('base64'),
    counter: 7,
    attestationStatementFormat: 'none',
    credentialPublicKey: KEY.toString('base64url'),
    transports: ['internal'],
  };
  const ROW = {
    id: '2c9f',
    salt: '',
    type: 'webauthn-passwordless',
    user_id: USER,
    created_date: '1796071017918',
    user_label: 'Ada’s "key"',
    secret_data: '{}',
    credential_data: JSON.stringify(DATA),
    priority: '10',
    version: '0',
  };

  it('takes the text of the user id for the handle, and leaves the backup flags out, which it does not keep', async () => {
    expect((await read('keycloak', toCsv(ROW))).lines).toEqual([
      {
        ...LINE,
        userId: USER,
        userHandle: Buffer.from(USER).toString('base64url'),
        signCount: 7,
        transports: ['internal'],
        aaguid: DATA.aaguid,
        name: 'Ada’s "key"',
        createdAt: '2026-11-30T20:36:57.918Z',
        source: 'keycloak',
      },
    ]);
  });

  it('reads the rows of JSON with the data as an object or as text, and with the names of an export', async () => {
    const text = [
      { ...ROW, credential_data: DATA },
      { type: ROW.type, userId: USER, credentialData: JSON.stringify(DATA) },
    ].map((row) => JSON.stringify(row));
    expect((await read('keycloak', text.join('\n'))).lines).toHaveLength(2);
  });

  it('leaves out passwords and other credentials, and names data that cannot be read', async () => {
    const rows = [
      ROW,
      { ...ROW, type: 'password', credential_data: '{"hashIterations":1}' },
      { ...ROW, credential_data: '{"counter":' },
    ];
    const [header] = toCsv(ROW).split('\n');
    const { faults, tally } = await read(
      'keycloak',
      [header, ...rows.map((row) => toCsv(row).split('\n')[1])].join('\n'),
    );
    expect(tally).toEqual({ rows: 3, passkeys: 1, faults: 1, others: 1 });
    expect(faults).toEqual(['4: credential_data is not a JSON object']);
  });

  it('leaves out a handle that no authenticator can hold', async () => {
    const { lines } = await read('keycloak', toCsv({ ...ROW, user_id: `f:${USER}:${'a'.repeat(40)}` }));
    expect(lines[0]).not.toHaveProperty('userHandle');
  });
});
