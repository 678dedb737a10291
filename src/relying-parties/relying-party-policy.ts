import { ALGORITHMS } from '../webauthn/cose.js';
import { ATTESTATION_FORMATS } from '../webauthn/attestation-statement.js';

type Demand = 'required' | 'preferred' | 'discouraged';

/**
 * What a relying party demands of the ceremonies of one purpose. A member that is present replaces the one of the policy,
 * whether it demands more or less.
 */
export interface PurposePolicy {
  readonly userVerification?: Demand;
  readonly challengeTtlSeconds?: number;
  readonly backup?: 'any' | 'device-bound' | 'synced';
  /** `trusted`: a passkey whose attestation was trusted at its registration. */
  readonly attestation?: 'any' | 'trusted';
  /** The age that the user's last sign-in may have. Absent: any, or none. */
  readonly maxAgeSeconds?: number;
}

/**
 * A relying party's demands on its ceremonies. The service puts them into the options and checks the answers against
 * them.
 */
export interface RelyingPartyPolicy {
  readonly userVerification: Demand;
  readonly residentKey: Demand;
  readonly attestation: {
    readonly conveyance: 'none' | 'indirect' | 'direct' | 'enterprise';
    readonly trust: 'any' | 'trusted';
    readonly formats: readonly string[];
  };
  readonly authenticators: {
    /** AAGUIDs; absent: every model is allowed. */
    readonly allow?: readonly string[];
    readonly deny?: readonly string[];
    readonly unknown: 'allow' | 'deny';
  };
  /** COSE algorithm identifiers, the preferred one first. */
  readonly algorithms: readonly number[];
  readonly backup: 'any' | 'device-bound' | 'synced';
  readonly maxCredentialsPerUser: number;
  readonly challengeTtlSeconds: number;
  readonly signCountRegression: 'reject' | 'flag';
  /**
   * `reject` refuses a credential that has become backup eligible since its registration (WebAuthn L3 §7.2 step 19).
   */
  readonly backupEligibilityChange: 'reject' | 'accept-growth';
  /**
   * True if a TPM attestation that relies on SHA-1 may be trusted. Nearly every Windows Hello sends such attestations.
   */
  readonly allowSha1Tpm: boolean;
  /** What a payment by a browser-bound key that is not trusted yet gets (src/payments/browser-key-rules.ts). */
  readonly browserKeys: { readonly unknown: 'accept' | 'step-up' | 'refuse' };
  readonly crossOrigin: { readonly allow: boolean; readonly topOrigins: readonly string[] };
  readonly identityProof: { readonly required: boolean; readonly maxAgeSeconds: number };
  /**
   * The limits of ceremonies that name a user (src/challenges/user-limits.repository.ts). PCI DSS 8.3.4 allows at most 10 refusals.
   */
  readonly userLimits: { readonly challengesPerMinute: number; readonly refusalsPerHalfHour: number };
  /** By the name of the purpose. A ceremony without a purpose, or of another one, follows the policy alone (purposes.ts). */
  readonly purposes: Readonly<Record<string, PurposePolicy>>;
}

/**
 * Chromium throws a RangeError from the 65th descriptor on, so a user with more passkeys could neither sign in nor
 * register.
 */
export const MAX_CREDENTIALS_PER_USER = 64;

export const MAX_PURPOSES = 16;

export const DEFAULT_POLICY: RelyingPartyPolicy = {
  userVerification: 'required',
  residentKey: 'required',
  attestation: { conveyance: 'none', trust: 'any', formats: ATTESTATION_FORMATS },
  authenticators: { unknown: 'allow' },
  algorithms: ALGORITHMS.filter(({ offered }) => offered).map(({ cose }) => cose),
  backup: 'any',
  maxCredentialsPerUser: 20,
  challengeTtlSeconds: 300,
  signCountRegression: 'reject',
  backupEligibilityChange: 'reject',
  allowSha1Tpm: false,
  browserKeys: { unknown: 'accept' },
  crossOrigin: { allow: false, topOrigins: [] },
  identityProof: { required: true, maxAgeSeconds: 900 },
  userLimits: { challengesPerMinute: 120, refusalsPerHalfHour: 100 },
  purposes: {},
};

/**
 * Gives every absent member of a policy its default, at both levels, and keeps the values within the present bounds. So
 * a caller can PUT a policy as it got it, even if the policy was stored under wider bounds.
 */
export function completePolicy(stored: Partial<RelyingPartyPolicy> | null): RelyingPartyPolicy {
  const policy = stored ?? {};
  const merged = Object.entries(DEFAULT_POLICY).map(([member, standard]: [string, unknown]) => {
    const value = policy[member as keyof RelyingPartyPolicy] as unknown;
    const nested = typeof standard === 'object' && standard !== null && !Array.isArray(standard);
    return [member, nested ? { ...standard, ...omitAbsent(value) } : (value ?? standard)];
  });
  const whole = Object.fromEntries(merged) as RelyingPartyPolicy;
  const purposes = Object.entries(whole.purposes).map(([name, purpose]) => [name, omitAbsent(purpose)] as const);
  return {
    ...whole,
    maxCredentialsPerUser: Math.min(whole.maxCredentialsPerUser, MAX_CREDENTIALS_PER_USER),
    purposes: Object.fromEntries(purposes),
  };
}

function omitAbsent(value: unknown): object {
  return Object.fromEntries(
    Object.entries(value ?? {}).filter(([, member]) => member !== undefined && member !== null),
  );
}
