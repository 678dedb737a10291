import type { Credential } from '../../test/support/bodies.js';

export type Change = 'rename' | 'suspend' | 'reinstate' | 'revoke';

/** What auth-service was told of one passkey. */
export interface Life {
  readonly id: string;
  readonly credentialId: string;
  readonly acknowledged: Record<Change, number>;
  /** `auditId`s of the authentications that were acknowledged. */
  readonly verified: string[];
  status: Credential['status'];
  /** The last request has no answer: what it asked for may have happened. Nothing is asked of this passkey after it. */
  uncertain: Change | 'verify' | undefined;
}

/** Everything that was acknowledged, and what should never have been answered. */
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
