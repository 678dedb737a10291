import type { Credential } from '../../test/support/bodies.js';

export type Change = 'rename' | 'suspend' | 'reinstate' | 'revoke';

/** The answers that auth-service got about one passkey. */
export interface Life {
  readonly id: string;
  readonly credentialId: string;
  readonly acknowledged: Record<Change, number>;
  /** `auditId`s of the acknowledged authentications. */
  readonly verified: string[];
  status: Credential['status'];
  /** The last request, if it has no answer: the service may have executed it. No request follows it. */
  uncertain: Change | 'verify' | undefined;
}

/** All acknowledged changes, and the answers that should never occur. */
export class Ledger {
  readonly lives: Life[] = [];
  readonly faults: string[] = [];
  acknowledged = 0;
  /** Requests that a crash left without an answer. */
  unanswered = 0;

  begin({ id, credentialId, status }: Credential): Life {
    const acknowledged = { rename: 0, suspend: 0, reinstate: 0, revoke: 0 };
    const life: Life = { id, credentialId, acknowledged, verified: [], status, uncertain: undefined };
    this.lives.push(life);
    this.acknowledged += 1;
    return life;
  }
}
