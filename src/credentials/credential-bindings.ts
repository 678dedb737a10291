import { Inject, Injectable, Logger } from '@nestjs/common';
import { Refusals } from '../audit/refusals.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import type { RequestContext } from '../identity/request-context.js';
import { bindingHolds, bindingMac } from './binding.js';
import type { CredentialEntity } from './credential.entity.js';

/** Seals credential rows and tells which ones were changed behind the service's back. */
@Injectable()
export class CredentialBindings {
  private readonly logger = new Logger(CredentialBindings.name);
  /** How many times a row failed since the start. */
  failures = 0;

  constructor(
    @Inject(SECRET_KEYS) private readonly keys: SecretKeys,
    private readonly refusals: Refusals,
  ) {}

  seal<T extends Omit<CredentialEntity, 'bindingMac'>>(credential: T): T & { bindingMac: Buffer } {
    return Object.assign(credential, { bindingMac: bindingMac(this.keys.binding, credential) });
  }

  isGenuine(credential: CredentialEntity): boolean {
    return bindingHolds(this.keys.binding, credential);
  }

  /**
   * Whether the row is as the service wrote it. When it is not, the audit log says so before this returns; of a row that fails
   * again and again, it has the number (docs/adr/0017-refusals-are-counted.md).
   */
  async holds(context: RequestContext, credential: CredentialEntity): Promise<boolean> {
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
      ...{ rpId, userId, credential: { id, credentialId: credentialId.toString('base64url') } },
    });
    return false;
  }

  /** The rows that hold; the others are reported and left out. */
  async only(context: RequestContext, credentials: CredentialEntity[]): Promise<CredentialEntity[]> {
    const held: CredentialEntity[] = [];
    for (const credential of credentials) if (await this.holds(context, credential)) held.push(credential);
    return held;
  }

  /** True if every row is as the service wrote it; reports those that are not. */
  async allHold(context: RequestContext, credentials: CredentialEntity[]): Promise<boolean> {
    return (await this.only(context, credentials)).length === credentials.length;
  }
}
