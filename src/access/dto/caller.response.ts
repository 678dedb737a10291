import type { Caller } from '../../http/request-context.js';
import type { ApprovalRules, Grant } from '../access-policy.js';
import { PERMISSIONS, type Permission } from '../permissions.js';

/** What the service knows of the caller: its grant in the access policy, and the certificate of this connection. */
export class CallerResponse {
  id: string;
  /** In the order of the contract. */
  permissions: readonly Permission[];
  /** Those of `permissions` whose use waits for the approval of another identity. */
  approvalNeeded: readonly Permission[];
  /** null: all. */
  relyingParties: readonly string[] | null;
  receiptAudiences: readonly string[];
  /** null: no limit. */
  requestsPerSecond: number | null;
  /** The end of the grant or of the certificate, whichever comes first. */
  expiresAt: Date;
  certificate: Pick<Caller, 'notAfter' | 'fingerprint'>;

  static of(
    { spiffeId, notAfter, fingerprint }: Caller,
    grant: Grant,
    approvals: ApprovalRules | null,
  ): CallerResponse {
    const permissions = PERMISSIONS.filter((permission) => grant.permissions.has(permission));
    const needing: ReadonlySet<string> = approvals?.permissions ?? new Set();
    return {
      id: spiffeId,
      permissions,
      approvalNeeded: permissions.filter((permission) => needing.has(permission)),
      relyingParties: grant.relyingParties,
      receiptAudiences: grant.receiptAudiences,
      requestsPerSecond: grant.requestsPerSecond,
      expiresAt: grant.notAfter && grant.notAfter < notAfter ? grant.notAfter : notAfter,
      certificate: { notAfter, fingerprint },
    };
  }
}
