import { Column, Entity, PrimaryColumn } from 'typeorm';
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

  @Column('boolean', { name: 'backup_eligible' })
  backupEligible: boolean;

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
