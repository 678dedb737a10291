import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';

/** The bodies of the service's answers, by their names in the contract. */
export interface Challenge<Options> {
  challengeId: string;
  expiresAt: string;
  publicKey: Options;
}

export type RegistrationChallenge = Challenge<PublicKeyCredentialCreationOptionsJSON>;
export type AuthenticationChallenge = Challenge<PublicKeyCredentialRequestOptionsJSON>;

export interface Credential {
  id: string;
  credentialId: string;
  rpId: string;
  userId: string;
  name: string;
  status: 'active' | 'suspended' | 'revoked';
  transports: string[];
  backupEligible: boolean;
  userVerified: boolean;
  backedUp: boolean;
  signCount: number;
  createdAt: string;
  lastUsedAt: string | null;
  statusChangedAt: string;
  statusReason: string | null;
}

export interface Verification {
  verified: true;
  userId: string;
  purpose: string | null;
  userVerified: boolean;
  credential: Credential;
  risks: string[];
  verifiedAt: string;
  auditId: string;
  receipt?: string;
}

export interface Page<Entry> {
  data: Entry[];
  nextCursor: string | null;
}

export interface Problem {
  type: string;
  status: number;
  detail?: string;
  instance: string;
  reason?: string;
  invalid?: { pointer: string; detail: string }[];
}

/** The members of an OCSF event that the tests use. */
export interface AuditEvent {
  class_uid: number;
  activity_id: number;
  time: number;
  status_id: number;
  status_code?: string;
  status_detail?: string;
  metadata: { uid: string; event_code?: string; correlation_uid?: string; sequence?: number };
  actor?: { app_uid?: string };
  user?: { uid?: string };
  src_endpoint?: { ip?: string };
  unmapped?: Record<string, unknown>;
}

/** The answer that is the problem `slug`, for `toMatchObject`. */
export function makeProblem(status: number, slug: string, members: Record<string, unknown> = {}): object {
  return { status, body: { type: `urn:passkey-manager:problem:${slug}`, status, ...members } };
}

export const makeRegistrationRejected = (reason: string): object =>
  makeProblem(422, 'registration-rejected', { reason });
export const makeAuthenticationRejected = (reason: string): object =>
  makeProblem(422, 'authentication-rejected', { reason });
export const makePolicyRejected = (reason: string): object => makeProblem(422, 'policy-rejected', { reason });
