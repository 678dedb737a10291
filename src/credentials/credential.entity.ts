import { Column, Entity, PrimaryColumn } from 'typeorm';
import { toByteaText } from '../database/rows-statement.js';
import type { AttestationTrust } from '../webauthn/refusal.js';

export type CredentialStatus = 'active' | 'suspended' | 'revoked';

interface Transition {
  readonly from: readonly CredentialStatus[];
  readonly to: CredentialStatus;
}

/** All status changes of a credential. `revoked` is final: no transition leads out of it. */
export const TRANSITIONS = {
  suspend: { from: ['active'], to: 'suspended' },
  reinstate: { from: ['suspended'], to: 'active' },
  revoke: { from: ['active', 'suspended'], to: 'revoked' },
} as const satisfies Record<string, Transition>;

export type TransitionName = keyof typeof TRANSITIONS;

/** A passkey (WebAuthn L3 §4, credential record) with its status. */
@Entity('credential')
export class CredentialEntity {
  @Column('text', { name: 'rp_id' })
  rpId: string;

  @PrimaryColumn('uuid')
  id: string;

  @Column('text', { name: 'user_id' })
  userId: string;

  @Column('bytea', { name: 'credential_id' })
  credentialId: Buffer;

  /** COSE_Key as the authenticator returned it. */
  @Column('bytea', { name: 'public_key' })
  publicKey: Buffer;

  /** COSE algorithm identifier. */
  @Column('integer')
  algorithm: number;

  @Column('uuid')
  aaguid: string;

  @Column('text')
  name: string;

  @Column('text')
  status: CredentialStatus;

  @Column('text', { name: 'status_reason', nullable: true })
  statusReason: string | null;

  @Column({ type: 'timestamptz', name: 'status_changed_at', precision: 3 })
  statusChangedAt: Date;

  @Column('text', { nullable: true })
  attachment: string | null;

  @Column('text', { array: true })
  transports: string[];

  /** null: the client did not say (`credProps`). */
  @Column('boolean', { nullable: true })
  discoverable: boolean | null;

  /** null: an import did not know. The next authentication tells. */
  @Column('boolean', { name: 'backup_eligible', nullable: true })
  backupEligible: boolean | null;

  @Column('boolean', { name: 'backed_up' })
  backedUp: boolean;

  /** True if the user was verified at registration. */
  @Column('boolean', { name: 'user_verified' })
  userVerified: boolean;

  @Column('text', { name: 'attestation_format' })
  attestationFormat: string;

  @Column('text', { name: 'attestation_trust' })
  attestationTrust: AttestationTrust;

  @Column('bigint', { name: 'sign_count' })
  signCount: number;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3 })
  createdAt: Date;

  /** SPIFFE ID of the caller that registered it. */
  @Column('text', { name: 'created_by' })
  createdBy: string;

  @Column({ type: 'timestamptz', name: 'last_used_at', precision: 3, nullable: true })
  lastUsedAt: Date | null;

  /**
   * The user handle that the authenticator holds, if it is not that of the user (src/challenges/held-handle.ts). Empty: an import did not know,
   * and the next authentication tells. null: it is that of the user.
   */
  @Column('bytea', { name: 'user_handle', nullable: true })
  userHandle: Buffer | null;

  /** The browser-bound keys that were seen with it (browser-keys.ts); null: none was. */
  @Column('text', { name: 'browser_keys', nullable: true })
  browserKeys: string | null;

  /**
   * The time of the last sign-in that counts for a purpose with `maxAgeSeconds`. null: none since the relying party has such
   * a purpose.
   */
  @Column({ type: 'timestamptz', name: 'last_sign_in_at', precision: 3, nullable: true })
  lastSignInAt: Date | null;

  /**
   * The number of changes that the log has an event of, the registration included; a use is none. 0: not changed since
   * credentials have versions.
   */
  @Column('integer', { default: 0 })
  version: number;

  /** The seal of the members that only this service changes (credential-bindings.ts). */
  @Column('bytea', { name: 'binding_mac' })
  bindingMac: Buffer;
}

/** The columns of a credential by the members of the entity. LOAD returns them with the prefix `c_`. */
export const CREDENTIAL_COLUMNS: Readonly<Record<keyof CredentialEntity, string>> = {
  rpId: 'rp_id',
  id: 'id',
  userId: 'user_id',
  credentialId: 'credential_id',
  publicKey: 'public_key',
  algorithm: 'algorithm',
  aaguid: 'aaguid',
  name: 'name',
  status: 'status',
  statusReason: 'status_reason',
  statusChangedAt: 'status_changed_at',
  attachment: 'attachment',
  transports: 'transports',
  discoverable: 'discoverable',
  backupEligible: 'backup_eligible',
  backedUp: 'backed_up',
  userVerified: 'user_verified',
  attestationFormat: 'attestation_format',
  attestationTrust: 'attestation_trust',
  signCount: 'sign_count',
  createdAt: 'created_at',
  createdBy: 'created_by',
  lastUsedAt: 'last_used_at',
  lastSignInAt: 'last_sign_in_at',
  browserKeys: 'browser_keys',
  userHandle: 'user_handle',
  version: 'version',
  bindingMac: 'binding_mac',
};

const CREDENTIAL_TYPES: Readonly<Partial<Record<keyof CredentialEntity, string>>> = {
  id: 'uuid',
  credentialId: 'bytea',
  publicKey: 'bytea',
  algorithm: 'integer',
  aaguid: 'uuid',
  statusChangedAt: 'timestamptz',
  transports: 'text[]',
  discoverable: 'boolean',
  backupEligible: 'boolean',
  backedUp: 'boolean',
  userVerified: 'boolean',
  signCount: 'bigint',
  createdAt: 'timestamptz',
  lastUsedAt: 'timestamptz',
  userHandle: 'bytea',
  lastSignInAt: 'timestamptz',
  version: 'integer',
  bindingMac: 'bytea',
};
const CREDENTIAL_ENTRIES = Object.entries(CREDENTIAL_COLUMNS) as [keyof CredentialEntity, string][];

/** SQL: the columns of a credential in a record set. */
export const CREDENTIAL_RECORD = CREDENTIAL_ENTRIES.map(
  ([member, column]) => `${column} ${CREDENTIAL_TYPES[member] ?? 'text'}`,
).join(', ');
/** SQL: the columns of a credential. */
export const CREDENTIAL_LIST = Object.values(CREDENTIAL_COLUMNS).join(', ');

/** SQL: the columns of a credential, of one source. */
export function listCredentialColumns(source: string): string {
  return Object.values(CREDENTIAL_COLUMNS)
    .map((column) => `${source}.${column}`)
    .join(', ');
}

/** Turns a credential into a record of CREDENTIAL_RECORD, for statements that take many rows at once. */
export function toCredentialRecord(credential: CredentialEntity): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (const [member, column] of CREDENTIAL_ENTRIES) {
    const value = credential[member];
    record[column] = Buffer.isBuffer(value) ? toByteaText(value) : value;
  }
  return record;
}

/** The longest name of a passkey in the contract. The name of a model can be longer. */
const MAX_NAME_CHARACTERS = 64;

/** Names a passkey that nobody has named after its model; null: the model has no name. */
export function chooseName(model: { readonly name: string } | null): string {
  return Array.from(model?.name ?? 'Passkey')
    .slice(0, MAX_NAME_CHARACTERS)
    .join('');
}
