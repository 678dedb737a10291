import { computeHmac } from '../config/hmac.js';
import { Injectable } from '@nestjs/common';
import { Refusals } from '../audit/refusals.js';
import type { RequestContext } from '../http/request-context.js';
import type { SealedRow } from '../seals/seal.js';
import { Seals } from '../seals/seals.js';
import { refuseUnless } from '../webauthn/refusal.js';
import type { CredentialEntity } from './credential.entity.js';

/** Seals credential rows, and finds rows that something other than this service changed. */
@Injectable()
export class CredentialBindings {
  /** The number of failed integrity checks since the start. */
  failures = 0;

  constructor(
    private readonly seals: Seals,
    private readonly refusals: Refusals,
  ) {}

  seal<T extends Omit<CredentialEntity, 'bindingMac'>>(credential: T): T & { bindingMac: Buffer } {
    return Object.assign(credential, { bindingMac: this.seals.seal(describeRow(credential)) });
  }

  isGenuine(credential: CredentialEntity): boolean {
    return this.seals.isGenuine(describeRow(credential), credential.bindingMac);
  }

  /** True if the row should be sealed again: another key than the first has sealed it, or the version before. */
  isOld({ bindingMac }: Pick<CredentialEntity, 'bindingMac'>): boolean {
    return this.seals.isOld(bindingMac);
  }

  /**
   * True if the row is as the service wrote it. If it is not, the audit log records or counts that before this returns
   * (docs/adr/0017-refusals-are-counted.md).
   */
  async verifyRow(context: RequestContext | null, credential: CredentialEntity): Promise<boolean> {
    if (this.isGenuine(credential)) return true;
    this.failures += 1;
    const { rpId, id, userId, credentialId } = credential;
    const credentialIds = { id, credentialId: credentialId.toString('base64url') };
    await this.refusals.refuseRow(context, { type: 'credential.tampered', rpId, userId, credential: credentialIds });
    return false;
  }

  /** @throws Refusal credential-unknown if the row is not as the service wrote it */
  async demandGenuine(context: RequestContext, credential: CredentialEntity): Promise<void> {
    refuseUnless(
      await this.verifyRow(context, credential),
      'credential-unknown',
      'the record of the passkey was changed by something other than this service',
    );
  }

  /** Keeps the rows that pass the integrity check. Each of the others is reported. */
  async keepGenuine(context: RequestContext | null, credentials: CredentialEntity[]): Promise<CredentialEntity[]> {
    const held: CredentialEntity[] = [];
    for (const credential of credentials) if (await this.verifyRow(context, credential)) held.push(credential);
    return held;
  }

  /** True if every row is as the service wrote it. Each of the others is reported. */
  async verifyRows(context: RequestContext, credentials: CredentialEntity[]): Promise<boolean> {
    return (await this.keepGenuine(context, credentials)).length === credentials.length;
  }
}

/**
 * Describes the members that only this service changes: all but the backup state and the time of the last use, which
 * change with each use. The time of the last sign-in counts where there is one, so rows that never had one keep their seals,
 * and nobody can add, change or take away the time without the key. (The seal does not detect an old row that is restored whole, with its old seal. The version tells,
 * because the log's events name it: src/reconciliation.)
 */
export function describeRow(row: Omit<CredentialEntity, 'bindingMac'>): SealedRow {
  const identity = [row.rpId, row.id, row.userId, row.credentialId, row.publicKey, row.algorithm, row.aaguid];
  const state = [row.version, row.status, row.statusReason, row.statusChangedAt, row.name, row.signCount];
  const origin = [row.attachment, row.transports, row.discoverable, row.userVerified, row.createdAt, row.createdBy];
  const trust = [row.backupEligible, row.attestationFormat, row.attestationTrust];
  return {
    kind: 'credential',
    // Most passkeys have none of the last three, and the seals of the version before hold for them.
    parts: [
      ...identity,
      ...state,
      ...origin,
      ...trust,
      ...listSignIn(row),
      ...listBrowserKeys(row),
      ...listUserHandle(row),
    ],
    former: ({ credential }) => computeFormerSeal(credential, row),
  };
}

function listSignIn({ lastSignInAt }: Pick<CredentialEntity, 'lastSignInAt'>): Date[] {
  return lastSignInAt ? [lastSignInAt] : [];
}

/** A list of its own, which no time of a sign-in reads like. */
function listBrowserKeys({ browserKeys }: Pick<CredentialEntity, 'browserKeys'>): unknown[] {
  return browserKeys === null ? [] : [['browser_keys', browserKeys]];
}

function listUserHandle({ userHandle }: Pick<CredentialEntity, 'userHandle'>): unknown[] {
  return userHandle === null ? [] : [['user_handle', userHandle.toString('base64')]];
}

/** The version before sealed these members alone, with HMAC-SHA-256. It knew no last sign-in. */
function computeFormerSeal(key: Buffer, row: Omit<CredentialEntity, 'bindingMac'>): Buffer {
  const { rpId, id, userId, credentialId, publicKey, aaguid, backupEligible, status } = row;
  const bytes = [credentialId, publicKey].map((each) => each.toString('base64'));
  const sealed = [rpId, id, userId, ...bytes, aaguid, backupEligible, status, ...listSignIn(row)];
  return computeHmac(key, JSON.stringify(sealed));
}
