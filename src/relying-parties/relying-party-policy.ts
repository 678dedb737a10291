import { ALGORITHMS } from '../webauthn/algorithms.js';
import { ATTESTATION_FORMATS } from '../webauthn/attestation-formats.js';

type Demand = 'required' | 'preferred' | 'discouraged';

/** What a relying party demands of its ceremonies; enforced on the options and again on the answers. */
export interface RelyingPartyPolicy {
  readonly userVerification: Demand;
  readonly residentKey: Demand;
  readonly attestation: {
    readonly conveyance: 'none' | 'indirect' | 'direct' | 'enterprise';
    readonly trust: 'any' | 'trusted';
    readonly formats: readonly string[];
  };
  readonly authenticators: {
    /** AAGUIDs; absent: every model. */
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
  readonly crossOrigin: { readonly allow: boolean; readonly topOrigins: readonly string[] };
  readonly identityProof: { readonly required: boolean; readonly maxAgeSeconds: number };
}

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
  crossOrigin: { allow: false, topOrigins: [] },
  identityProof: { required: true, maxAgeSeconds: 900 },
};
