import type { Reason } from '../../src/webauthn/refusal.js';

/** Whose doing a refusal usually is. */
export type Fault = 'caller' | 'authenticator' | 'policy' | 'user' | 'operator' | 'attacker';

export interface ReasonNotes {
  /** As docs/problems.md says it. */
  readonly meaning: string;
  /** The usual ones, the most likely first. */
  readonly faults: readonly Fault[];
  /** The steps of the specification that demand it; empty if only this service or its policy refuses. */
  readonly clauses: readonly string[];
  /** The heading of docs/runbook.md, as an anchor. */
  readonly runbook: string;
}

const REFUSED = 'ceremonies-are-refused';
const POLICY = 'a-relying-partys-policy-is-to-change';
const LOST = 'somebody-may-have-a-users-passkey';
const SHOWN = 'users-are-shown-something-else';
const BROWSER_KEYS = 'browser-bound-keys-are-denied';

/** The reasons of a refused ceremony. */
export const CEREMONY_REASONS: Readonly<Record<Reason, ReasonNotes>> = {
  malformed: {
    meaning:
      'The service cannot decode the answer: base64url, JSON, CBOR or authenticator data with a byte too few or too many.',
    faults: ['caller', 'authenticator'],
    clauses: ['§7.1 step 5', '§7.1 step 6', '§7.1 step 13', '§7.2 step 7', '§7.2 step 8', '§7.2 step 9'],
    runbook: REFUSED,
  },
  'type-mismatch': {
    meaning: 'The client data belongs to another ceremony, or the credential is not a public key.',
    faults: ['caller'],
    clauses: ['§7.1 step 7', '§7.2 step 10'],
    runbook: REFUSED,
  },
  'challenge-mismatch': {
    meaning: 'The client data holds another challenge than the issued one.',
    faults: ['caller', 'attacker'],
    clauses: ['§7.1 step 8', '§7.2 step 11'],
    runbook: 'challenges-are-spent-too-early',
  },
  'origin-mismatch': {
    meaning: 'The page’s origin is not one of the relying party’s origins.',
    faults: ['operator', 'attacker'],
    clauses: ['§7.1 step 9', '§7.2 step 12'],
    runbook: POLICY,
  },
  'cross-origin-denied': {
    meaning: 'The ceremony ran in a frame of another origin, which the policy does not allow.',
    faults: ['policy', 'caller', 'attacker'],
    clauses: ['§7.1 step 10', '§7.1 step 11', '§7.2 step 13', '§7.2 step 14'],
    runbook: POLICY,
  },
  'rp-id-mismatch': {
    meaning: 'The authenticator answered for another RP ID.',
    faults: ['caller'],
    clauses: ['§7.1 step 14', '§7.2 step 15'],
    runbook: REFUSED,
  },
  'user-presence-missing': {
    meaning: 'The authenticator did not test that a user is present.',
    faults: ['caller', 'authenticator'],
    clauses: ['§7.1 step 15', '§7.2 step 16'],
    runbook: REFUSED,
  },
  'user-verification-missing': {
    meaning: 'The policy demands user verification, and the authenticator did none.',
    faults: ['policy', 'authenticator'],
    clauses: ['§7.1 step 16', '§7.2 step 17'],
    runbook: POLICY,
  },
  'backup-flags-invalid': {
    meaning: 'The authenticator says that the credential is backed up but not backup eligible.',
    faults: ['authenticator'],
    clauses: ['§7.1 step 17', '§7.2 step 18'],
    runbook: REFUSED,
  },
  'backup-eligibility-changed': {
    meaning: 'The passkey became backup eligible after registration (see backupEligibilityChange), or ceased to be.',
    faults: ['authenticator', 'policy'],
    clauses: ['§7.2 step 19'],
    runbook: 'users-are-refused-with-backup-eligibility-changed',
  },
  'backup-state-denied': {
    meaning: 'The policy demands a device-bound credential or a backup-eligible one, and this credential is the other.',
    faults: ['policy'],
    clauses: [],
    runbook: POLICY,
  },
  'algorithm-denied': {
    meaning: 'The options did not offer the key’s algorithm.',
    faults: ['caller', 'authenticator'],
    clauses: ['§7.1 step 20'],
    runbook: POLICY,
  },
  'public-key-invalid': {
    meaning: 'The COSE key is not a safe key: its type, curve, point, length or members are wrong.',
    faults: ['authenticator'],
    clauses: ['§7.1 step 20'],
    runbook: REFUSED,
  },
  'credential-id-invalid': {
    meaning: 'The ids of the answer differ from each other or from the credential’s, or their length is not allowed.',
    faults: ['caller'],
    clauses: ['§7.1 step 25', '§7.2 step 6'],
    runbook: REFUSED,
  },
  'attestation-format-denied': {
    meaning: 'The policy does not list the attestation format.',
    faults: ['policy'],
    clauses: ['§7.1 step 21'],
    runbook: POLICY,
  },
  'attestation-invalid': {
    meaning: 'The attestation statement does not verify, or a certificate in it is larger than any authenticator’s.',
    faults: ['authenticator', 'attacker'],
    clauses: ['§7.1 step 22'],
    runbook: REFUSED,
  },
  'attestation-untrusted': {
    meaning:
      'The policy demands a trusted attestation; this one is true but not trusted. detail says why and what to do.',
    faults: ['policy', 'operator'],
    clauses: [],
    runbook: 'an-attestation-root-is-unknown',
  },
  'authenticator-denied': {
    meaning: 'The policy denies the model, or the authenticator or its credential is not of the requested kind.',
    faults: ['policy'],
    clauses: [],
    runbook: POLICY,
  },
  'authenticator-compromised': {
    meaning: 'FIDO metadata says that the model is revoked or compromised.',
    faults: ['authenticator'],
    clauses: [],
    runbook: 'fido-metadata',
  },
  'signature-invalid': {
    meaning: 'The signature does not verify with the registered public key.',
    faults: ['authenticator', 'caller', 'attacker'],
    clauses: ['§7.2 step 21'],
    runbook: REFUSED,
  },
  'credential-unknown': {
    meaning: 'The relying party has no such credential, or its record fails its integrity check.',
    faults: ['user', 'operator'],
    clauses: [],
    runbook: REFUSED,
  },
  'credential-suspended': {
    meaning: 'The credential is suspended. It may be reinstated, so the browser should keep it.',
    faults: ['operator', 'user'],
    clauses: [],
    runbook: LOST,
  },
  'credential-revoked': {
    meaning: 'The credential is revoked for good.',
    faults: ['user', 'attacker'],
    clauses: [],
    runbook: LOST,
  },
  'credential-not-allowed': {
    meaning: 'The challenge was issued for another user than the credential’s.',
    faults: ['user', 'caller'],
    clauses: ['§7.2 step 6'],
    runbook: REFUSED,
  },
  'user-handle-mismatch': {
    meaning: 'The user handle belongs to another user, or is missing though the challenge named no user.',
    faults: ['caller', 'authenticator'],
    clauses: ['§7.2 step 6'],
    runbook: REFUSED,
  },
  'sign-count-regressed': {
    meaning: 'The sign count did not grow: the credential may exist twice. (With the policy flag, a risk instead.)',
    faults: ['attacker', 'authenticator'],
    clauses: ['§7.2 step 22'],
    runbook: 'sign-counts-regress',
  },
  'purpose-mismatch': {
    meaning: 'The answer names another purpose than the challenge.',
    faults: ['caller'],
    clauses: [],
    runbook: 'purposes',
  },
  'ceremony-mismatch': {
    meaning: 'The challenge was issued for another ceremony.',
    faults: ['caller'],
    clauses: [],
    runbook: REFUSED,
  },
  'transaction-mismatch': {
    meaning: 'The transaction of the answer is not the one of the challenge.',
    faults: ['caller', 'attacker'],
    clauses: [],
    runbook: SHOWN,
  },
  'payment-mismatch': {
    meaning: 'The browser signed another payment than the one that was sent. member names what differs.',
    faults: ['caller', 'attacker'],
    clauses: ['SPC §9.1'],
    runbook: SHOWN,
  },
  'browser-key-invalid': {
    meaning:
      'The browser-bound key or its signature is malformed, wrong or alone, or the key is not for ES256 or RS256.',
    faults: ['caller', 'attacker'],
    clauses: ['SPC §6.4', 'SPC §6.5'],
    runbook: BROWSER_KEYS,
  },
  'browser-key-denied': {
    meaning: 'The policy refuses a payment without a browser-bound key that it knows.',
    faults: ['policy', 'user', 'attacker'],
    clauses: [],
    runbook: BROWSER_KEYS,
  },
};
