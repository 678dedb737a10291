import type { CredentialStatus } from './credential.entity.js';

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
