import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { makeSealKeys, makeSeals, TEST_KEYS } from '../../test/support/secret-keys.js';
import { CredentialBindings } from './credential-bindings.js';
import { CREDENTIAL_COLUMNS, type CredentialEntity } from './credential.entity.js';

const makeBindings = (seals = makeSeals()): CredentialBindings =>
  new CredentialBindings(seals, new FakeAudit().refusals);
const bindings = makeBindings();
const sealRow = (changed: Partial<CredentialEntity> = {}): CredentialEntity =>
  bindings.seal(makeCredentialRow(changed));

/** Another value for each member. */
const CHANGED: Record<keyof CredentialEntity, unknown> = {
  rpId: 'b.example',
  id: '0199b4e0-0000-7000-8000-000000000002',
  userId: 'u-2',
  credentialId: randomBytes(32),
  publicKey: randomBytes(77),
  algorithm: -257,
  aaguid: 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4',
  name: 'x',
  status: 'suspended',
  statusReason: 'x',
  statusChangedAt: new Date(0),
  attachment: null,
  transports: [],
  discoverable: null,
  backupEligible: false,
  backedUp: true,
  userVerified: false,
  attestationFormat: 'packed',
  attestationTrust: 'trusted',
  signCount: 7,
  createdAt: Infinity,
  createdBy: 'spiffe://bank.example/b',
  lastUsedAt: new Date(0),
  lastSignInAt: new Date(0),
  browserKeys: '[]',
  userHandle: randomBytes(16),
  version: 2,
  bindingMac: randomBytes(20),
};
/** What changes with each use. */
const FREE: readonly string[] = ['backedUp', 'lastUsedAt'];

describe('the seal of a credential', () => {
  it('covers every column but the backup state and the time of the last use', () => {
    expect(Object.keys(CHANGED).sort()).toEqual(Object.keys(CREDENTIAL_COLUMNS).sort());
    for (const [member, value] of Object.entries(CHANGED)) {
      const row = Object.assign(sealRow(), { [member]: value });
      expect([member, bindings.isGenuine(row)]).toEqual([member, FREE.includes(member)]);
    }
  });

  it('covers the time of the last sign-in also where it is changed or taken away', () => {
    const [first, later] = [new Date(1_000), new Date(2_000)];
    const row = sealRow({ lastSignInAt: first });
    expect(bindings.isGenuine(row)).toBe(true);
    for (const lastSignInAt of [later, null]) {
      expect(bindings.isGenuine(Object.assign(makeCredentialRow(), row, { lastSignInAt }))).toBe(false);
    }
  });

  it.each(['credentialId', 'publicKey'] as const)('does not hold when a bit of %s was flipped', (member) => {
    const row = sealRow();
    row[member] = Buffer.from(row[member].map((byte, at) => (at === 0 ? byte ^ 1 : byte)));
    expect(bindings.isGenuine(row)).toBe(false);
  });

  it('does not hold under another key, or for another row', () => {
    expect(makeBindings(makeSeals(makeSealKeys(9))).isGenuine(sealRow())).toBe(false);
    expect(bindings.isGenuine(Object.assign(sealRow(), { bindingMac: sealRow().bindingMac }))).toBe(false);
  });

  it('cannot be forged for a row by moving the boundary between two members of another', () => {
    const base = makeCredentialRow();
    const sealWith = (changed: Partial<CredentialEntity>): string =>
      bindings.seal(Object.assign(makeCredentialRow(), base, changed)).bindingMac.toString('hex');
    const pairs: [Partial<CredentialEntity>, Partial<CredentialEntity>][] = [
      [
        { rpId: 'a.example', userId: 'bu' },
        { rpId: 'a.exampleb', userId: 'u' },
      ],
      [{ userId: 'u","AAAA' }, { userId: 'u' }],
      [{ userId: 'u"' }, { userId: 'u\\"' }],
      [{ userId: 'u\\' }, { userId: 'u\\\\' }],
      [{ userId: 'true' }, { userId: true as never }],
      [
        { credentialId: Buffer.from('ab'), publicKey: Buffer.from('c') },
        { credentialId: Buffer.from('a'), publicKey: Buffer.from('bc') },
      ],
      [
        { credentialId: Buffer.alloc(0), publicKey: Buffer.from('a') },
        { credentialId: Buffer.from('a'), publicKey: Buffer.alloc(0) },
      ],
      [
        { rpId: 'x', userId: 'y' },
        { rpId: 'y', userId: 'x' },
      ],
      [{ transports: ['a', 'b'] }, { transports: ['a,b'] }],
    ];
    for (const [one, two] of pairs) expect(sealWith(one)).not.toBe(sealWith(two));
  });
});

describe('the seal of the version before', () => {
  const between = makeBindings(makeSeals(TEST_KEYS, { areOldAccepted: true }));
  const sealFormer = (changed: Partial<CredentialEntity> = {}): CredentialEntity => {
    const row = makeCredentialRow({ version: 0, ...changed });
    const { rpId, id, userId, aaguid, backupEligible, status } = row;
    const bytes = [row.credentialId, row.publicKey].map((each) => each.toString('base64'));
    const text = JSON.stringify([rpId, id, userId, ...bytes, aaguid, backupEligible, status]);
    const bindingMac = createHmac('sha256', TEST_KEYS.seals[0].former.credential).update(text).digest();
    return Object.assign(row, { bindingMac });
  };

  it('does not hold for a row with a last sign-in, which that version did not know', () => {
    expect(between.isGenuine(Object.assign(sealFormer(), { lastSignInAt: new Date() }))).toBe(false);
  });

  it('holds for the row that it was made for, and is old', () => {
    const row = sealFormer();
    expect([between.isGenuine(row), between.isOld(row)]).toEqual([true, true]);
    expect(bindings.isGenuine(row)).toBe(false);
  });

  it.each(['rpId', 'id', 'userId', 'credentialId', 'publicKey', 'aaguid', 'backupEligible', 'status'] as const)(
    'does not hold when %s was changed',
    (member) => {
      expect(between.isGenuine(Object.assign(sealFormer(), { [member]: CHANGED[member] }))).toBe(false);
    },
  );
});
