import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { Problem } from '../http/problem.js';
import { MAX_LINE_BYTES, parseCredentialLine } from './credential-line.js';

const now = new Date('2026-11-30T12:00:00Z');
const publicKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' });
const LINE = { credentialId: 'AQIDBA', userId: 'u-1', publicKey, signCount: 7, source: 'old service' };

const parse = (line: unknown): ReturnType<typeof parseCredentialLine> =>
  parseCredentialLine(
    Buffer.isBuffer(line) ? line : Buffer.from(typeof line === 'string' ? line : JSON.stringify(line)),
    {
      rpId: 'login.example.com',
      now,
    },
  );

/** @returns the pointer and the detail of each wrong member */
function findInvalid(line: unknown): Problem['members']['invalid'] {
  try {
    parse(line);
  } catch (error) {
    if (error instanceof Problem && error.slug === 'request-malformed') return error.members.invalid;
    throw error;
  }
  throw new Error('the line was accepted');
}

describe('a line of a passkey', () => {
  it('needs an id, a user, a key, a sign count and a source, and leaves open what it does not say', () => {
    expect(parse(LINE)).toEqual({
      credentialId: Buffer.from([1, 2, 3, 4]),
      userId: 'u-1',
      userHandle: null,
      publicKey: expect.any(Buffer),
      algorithm: -7,
      signCount: 7,
      backupEligible: null,
      backedUp: false,
      transports: [],
      aaguid: null,
      name: null,
      createdAt: null,
      lastUsedAt: null,
      discoverable: null,
      source: 'old service',
      id: null,
      status: 'active',
      statusReason: null,
      statusChangedAt: null,
      attachment: null,
      userVerified: false,
      attestation: { format: 'none', trust: 'none' },
      createdBy: null,
      browserKeys: [],
      lastSignInAt: null,
    });
    for (const name of Object.keys(LINE)) {
      const { [name as 'userId']: _left, ...others } = LINE;
      expect(findInvalid(others)).toMatchObject([{ pointer: `/${name}` }]);
      expect(findInvalid({ ...LINE, [name]: null })).toMatchObject([{ pointer: `/${name}` }]);
    }
  });

  it('takes null for absent in every other member', () => {
    const optional =
      `userHandle backupEligible backedUp transports aaguid name createdAt lastUsedAt discoverable rpId id algorithm status
      statusReason statusChangedAt attachment userVerified attestation createdBy browserKeys lastSignInAt`.split(/\s+/);
    const nulls = Object.fromEntries(optional.map((name) => [name, null]));
    expect(parse({ ...LINE, ...nulls })).toEqual(parse(LINE));
  });

  it('may say everything that an export knows', () => {
    const browserKey = {
      thumbprint: 'A'.repeat(43),
      state: 'trusted',
      addedAt: '2026-02-01T00:00:00.000Z',
      changedAt: '2026-02-01T00:00:00.000Z',
    };
    const line = {
      ...LINE,
      userHandle: 'AA',
      backupEligible: true,
      backedUp: true,
      transports: ['internal', 'hybrid', 'no such\n'],
      aaguid: 'EA9B8D66-4D01-1D21-3CE4-B6B48CB575D4',
      name: 'Ada’s laptop',
      createdAt: '2026-01-01T00:00:00.123456+01:00',
      lastUsedAt: '2026-11-30T12:04:00Z',
      discoverable: true,
      rpId: 'login.example.com',
      id: '0195511f-03b2-7c11-8d0e-5b7a90a4c3d2',
      algorithm: -7,
      status: 'suspended',
      statusReason: 'lost',
      statusChangedAt: '2026-03-01T00:00:00Z',
      attachment: 'platform',
      userVerified: true,
      attestation: { format: 'packed', trust: 'trusted' },
      createdBy: 'spiffe://bank.example/ns/prod/sa/auth-service',
      browserKeys: [browserKey],
      lastSignInAt: '2026-11-30T11:00:00Z',
    };
    expect(parse(line)).toMatchObject({
      userHandle: Buffer.from([0]),
      backupEligible: true,
      transports: ['internal', 'hybrid'],
      aaguid: 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4',
      createdAt: new Date('2025-12-31T23:00:00.123Z'),
      status: 'suspended',
      attestation: { format: 'packed', trust: 'trusted' },
      browserKeys: [browserKey],
      lastSignInAt: new Date('2026-11-30T11:00:00Z'),
    });
  });

  it.each<[pointer: string, changed: object]>([
    ['/credentialId', { credentialId: 'AQIDBA==' }],
    ['/credentialId', { credentialId: '' }],
    ['/credentialId', { credentialId: 'AQIDBB' + 'A'.repeat(1_363) }],
    ['/userId', { userId: 'a'.repeat(257) }],
    ['/userId', { userId: 'a\u0000' }],
    ['/userHandle', { userHandle: Buffer.alloc(65).toString('base64url') }],
    ['/publicKey', { publicKey: 5 }],
    ['/publicKey', { publicKey: [] }],
    ['/publicKey', { publicKey: { ...publicKey, y: publicKey.x } }],
    ['/publicKey', { algorithm: -257 }],
    ['/signCount', { signCount: 2 ** 32 }],
    ['/signCount', { signCount: -1 }],
    ['/signCount', { signCount: '7' }],
    ['/backupEligible', { backupEligible: 'yes' }],
    ['/backedUp', { backupEligible: false, backedUp: true }],
    ['/transports/1', { transports: ['usb', 5] }],
    ['/aaguid', { aaguid: 'x' }],
    ['/createdAt', { createdAt: '2026-02-30T00:00:00Z' }],
    ['/createdAt', { createdAt: '1969-12-31T23:59:59Z' }],
    ['/lastUsedAt', { lastUsedAt: '2026-11-30T12:05:01Z' }],
    ['/lastSignInAt', { lastSignInAt: '2027-01-01T00:00:00Z' }],
    ['/source', { source: '' }],
    ['/rpId', { rpId: 'other.example.com' }],
    ['/id', { id: '0195511f-03b2-4c11-8d0e-5b7a90a4c3d2' }],
    ['/id', { id: 'ffffffff-03b2-7c11-8d0e-5b7a90a4c3d2' }],
    ['/status', { status: 'deleted' }],
    ['/attachment', { attachment: 'usb' }],
    ['/attestation/trust', { attestation: { format: 'packed', trust: 'full' } }],
    ['/attestation', { attestation: 'packed' }],
    ['/createdBy', { createdBy: 'auth-service' }],
    [
      '/browserKeys/0/state',
      { browserKeys: [{ thumbprint: 'A'.repeat(43), state: 'new', addedAt: now, changedAt: now }] },
    ],
    [
      '/browserKeys',
      {
        browserKeys: ['trusted', 'revoked'].map((state) => {
          return { thumbprint: 'A'.repeat(43), state, addedAt: now, changedAt: now };
        }),
      },
    ],
    ['/iconUrl', { iconUrl: 'https://example.com' }],
    ['/constructor', { constructor: 5 }],
  ])('names what is wrong: %s in %j', (pointer, changed) => {
    expect(findInvalid({ ...LINE, ...changed })).toMatchObject([{ pointer, detail: expect.any(String) }]);
  });

  it.each<[string, unknown, string]>([
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'the line is not UTF-8'],
    ['text that is not JSON', '{"credentialId":', 'the line is not JSON'],
    ['a list', '[]', 'the line is not a JSON object'],
    ['a null', 'null', 'the line is not a JSON object'],
    ['a member that it names twice', `{"userId":"a",${JSON.stringify(LINE).slice(1)}`, 'the line names a member twice'],
    ['deep lists', `{"a":${'['.repeat(9_000)}`, 'the line is nested deeper than 16 levels'],
    ['more bytes than a line may have', ' '.repeat(MAX_LINE_BYTES + 1), 'the line is longer than 65536 bytes'],
  ])('is refused as a whole for %s', (_name, line, detail) => {
    expect(findInvalid(line)).toEqual([{ pointer: '', detail }]);
  });

  it('may begin with a byte order mark', () => {
    expect(parse(`\ufeff${JSON.stringify(LINE)}`)).toEqual(parse(LINE));
  });
});
