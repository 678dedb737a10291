import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { makeCredentialRow } from '../../test/support/credential-rows.js';
import { computeBindingMac, isBindingValid } from './credential-bindings.js';
import type { CredentialEntity } from './credential.entity.js';

const KEY = randomBytes(32);

const sealRow = (changed: Partial<CredentialEntity> = {}): CredentialEntity => {
  const row = makeCredentialRow(changed);
  return Object.assign(row, { bindingMac: computeBindingMac(KEY, row) });
};
const computeMac = (row: CredentialEntity): string => computeBindingMac(KEY, row).toString('hex');

/** Another value for each bound member. */
const TAMPERED: [keyof CredentialEntity, unknown][] = [
  ['rpId', 'b.example'],
  ['id', '0199b4e0-0000-7000-8000-000000000002'],
  ['userId', 'u-2'],
  ['credentialId', randomBytes(32)],
  ['publicKey', randomBytes(77)],
  ['aaguid', 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4'],
  ['backupEligible', false],
  ['status', 'suspended'],
];

describe('the binding of a credential', () => {
  it('verifies for the row as it was sealed', () => {
    expect(isBindingValid(KEY, sealRow())).toBe(true);
  });

  it('is an HMAC-SHA-256 with the key', () => {
    const { rpId, id, userId, credentialId, publicKey, aaguid, backupEligible, status, bindingMac } = sealRow();
    const bound = [
      rpId,
      id,
      userId,
      credentialId.toString('base64'),
      publicKey.toString('base64'),
      aaguid,
      backupEligible,
      status,
    ];
    expect(bindingMac).toEqual(createHmac('sha256', KEY).update(JSON.stringify(bound)).digest());
    expect(isBindingValid(randomBytes(32), sealRow())).toBe(false);
  });

  it.each(TAMPERED)('does not verify when %s was changed', (member, value) => {
    expect(isBindingValid(KEY, Object.assign(sealRow(), { [member]: value }))).toBe(false);
  });

  it.each(['credentialId', 'publicKey'] as const)('does not verify when a bit of %s was flipped', (member) => {
    const row = sealRow();
    row[member] = Buffer.from(row[member].map((byte, at) => (at === 0 ? byte ^ 1 : byte)));
    expect(isBindingValid(KEY, row)).toBe(false);
  });

  it('verifies after any change of the members that a use or an operator may change', () => {
    const free: Partial<CredentialEntity> = {
      name: 'x',
      signCount: 7,
      backedUp: true,
      lastUsedAt: new Date(),
      statusReason: 'x',
      transports: [],
    };
    expect(isBindingValid(KEY, Object.assign(sealRow(), free))).toBe(true);
  });

  it.each([
    ['no bytes', Buffer.alloc(0)],
    ['a part of it', computeBindingMac(KEY, makeCredentialRow()).subarray(0, 31)],
    ['zeros', Buffer.alloc(32)],
    ['more than it', Buffer.alloc(33)],
    ['another row’s', computeBindingMac(KEY, makeCredentialRow())],
  ])('does not verify for %s', (_, bytes) => {
    expect(isBindingValid(KEY, Object.assign(sealRow(), { bindingMac: bytes }))).toBe(false);
  });

  it('cannot be forged for a row by moving the boundary between two members of another', () => {
    const base = makeCredentialRow();
    const computeMacWith = (changed: Partial<CredentialEntity>): string =>
      computeMac(Object.assign(makeCredentialRow(), base, changed));
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
    ];
    for (const [one, two] of pairs) expect(computeMacWith(one)).not.toBe(computeMacWith(two));
  });
});
