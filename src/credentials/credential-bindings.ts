import { createHmac, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { Refusals } from '../audit/refusals.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import type { RequestContext } from '../http/request-context.js';
import type { CredentialEntity } from './credential.entity.js';

/** Seals credential rows, and finds rows that something other than this service changed. */
@Injectable()
export class CredentialBindings {
  private readonly logger = new Logger(CredentialBindings.name);
  /** The number of failed integrity checks since the start. */
  failures = 0;

  constructor(
    @Inject(SECRET_KEYS) private readonly keys: SecretKeys,
    private readonly refusals: Refusals,
  ) {}

  seal<T extends Omit<CredentialEntity, 'bindingMac'>>(credential: T): T & { bindingMac: Buffer } {
    return Object.assign(credential, { bindingMac: computeBindingMac(this.keys.binding, credential) });
  }

  isGenuine(credential: CredentialEntity): boolean {
    return isBindingValid(this.keys.binding, credential);
  }

  /**
   * True if the row is as the service wrote it. If it is not, the audit log records that before this returns. For a row
   * that fails again and again, the log counts the failures (docs/adr/0017-refusals-are-counted.md).
   */
  async verifyRow(context: RequestContext, credential: CredentialEntity): Promise<boolean> {
    if (this.isGenuine(credential)) return true;
    this.failures += 1;
    const { rpId, id, userId, credentialId } = credential;
    this.logger.error({
      message: 'a credential record fails its integrity check',
      requestId: context.requestId,
      rpId,
      id,
    });
    await this.refusals.refuseRow(context, id, {
      type: 'credential.tampered',
      outcome: 'failure',
      detail: 'the row was changed by something other than this service',
      rpId,
      userId,
      credential: { id, credentialId: credentialId.toString('base64url') },
    });
    return false;
  }

  /** Keeps the rows that pass the integrity check. Each of the others is reported. */
  async keepGenuine(context: RequestContext, credentials: CredentialEntity[]): Promise<CredentialEntity[]> {
    const held: CredentialEntity[] = [];
    for (const credential of credentials) if (await this.verifyRow(context, credential)) held.push(credential);
    return held;
  }

  /** True if every row is as the service wrote it. Each of the others is reported. */
  async verifyRows(context: RequestContext, credentials: CredentialEntity[]): Promise<boolean> {
    return (await this.keepGenuine(context, credentials)).length === credentials.length;
  }
}

type Bound = Pick<
  CredentialEntity,
  'rpId' | 'id' | 'userId' | 'credentialId' | 'publicKey' | 'aaguid' | 'backupEligible' | 'status'
>;

/**
 * Computes the HMAC-SHA-256 over the members that decide who can sign in with a row. Anyone who can write to the table
 * but lacks the key cannot give a credential to another user, replace its public key, change its model, make it a
 * multi-device credential or reactivate it. (The MAC does not detect an old row that is restored whole, with its old
 * MAC. The audit log shows that.)
 */
export function computeBindingMac(
  key: Buffer,
  { rpId, id, userId, credentialId, publicKey, aaguid, backupEligible, status }: Bound,
): Buffer {
  const binding = [
    rpId,
    id,
    userId,
    credentialId.toString('base64'),
    publicKey.toString('base64'),
    aaguid,
    backupEligible,
    status,
  ];
  return createHmac('sha256', key).update(JSON.stringify(binding)).digest();
}

export function isBindingValid(key: Buffer, credential: CredentialEntity): boolean {
  const mac = computeBindingMac(key, credential);
  return mac.length === credential.bindingMac.length && timingSafeEqual(mac, credential.bindingMac);
}
