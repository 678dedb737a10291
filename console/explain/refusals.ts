import { ADVICE, type Reason } from '../../src/webauthn/refusal.js';
import { CEREMONY_REASONS, type Fault, type ReasonNotes } from './reasons.js';

/*
 * What an operator is told about a refusal: what it means, whose doing it usually is, what to do, the clause and the page of the
 * runbook. console/explain/reasons.ts has the reasons of ceremonies; those of policies and limits, and the problems that are
 * counted beside them, are here. A spec holds all of them against the contract and the documents.
 */

export interface Explanation extends ReasonNotes {
  readonly reason: string;
  /** What to do. */
  readonly advice: string;
}

interface AdvisedNotes extends ReasonNotes {
  readonly advice: string;
}

const POLICY = 'a-relying-partys-policy-is-to-change';
const SUCCESSOR = 'users-have-no-passkey-at-the-successor';

/** The reasons of a policy that forbids a request. */
export const POLICY_REASONS: Readonly<Record<string, AdvisedNotes>> = {
  'identity-proof-missing': {
    meaning: 'The policy demands identityProof, and the request has none.',
    faults: ['caller'],
    clauses: [],
    runbook: POLICY,
    advice: 'The caller identifies the user first, and says how and when in identityProof.',
  },
  'identity-proof-invalid': {
    meaning: 'identityProof.verifiedAt is in the future.',
    faults: ['caller'],
    clauses: [],
    runbook: 'the-clocks-are-apart',
    advice: 'Compare the clock of the caller with the one of the service.',
  },
  'identity-proof-too-old': {
    meaning: 'identityProof.verifiedAt is older than the policy’s maxAgeSeconds.',
    faults: ['caller', 'user'],
    clauses: [],
    runbook: POLICY,
    advice:
      'The caller identifies the user again before a registration. Raise identityProof.maxAgeSeconds if users need longer.',
  },
  'too-many-credentials': {
    meaning: 'The user already has as many passkeys as the policy’s maxCredentialsPerUser allows.',
    faults: ['user'],
    clauses: [],
    runbook: POLICY,
    advice: 'Revoke passkeys that the user does not use any more, or raise maxCredentialsPerUser.',
  },
  'registration-at-successor': {
    meaning:
      'The relying party has a successor, and its registrations is refuse. Register at the successor, on a page of its origins.',
    faults: ['caller'],
    clauses: [],
    runbook: SUCCESSOR,
    advice: 'The caller asks for registrations with the RP ID of the successor.',
  },
  'sign-in-too-old': {
    meaning:
      'The purpose has a maxAgeSeconds, and the user has not signed in within that time with a passkey that is still active, or never. An unknown user gets the same.',
    faults: ['user', 'policy'],
    clauses: [],
    runbook: 'purposes',
    advice: 'Let the user sign in, then begin again. Raise maxAgeSeconds of the purpose if users need longer.',
  },
};

/** The reasons of a limit that a request exceeds. */
export const LIMIT_REASONS: Readonly<Record<string, AdvisedNotes>> = {
  'too-many-challenges': {
    meaning: 'The user got as many challenges within a minute as the policy’s userLimits allow.',
    faults: ['caller', 'attacker'],
    clauses: [],
    runbook: 'a-caller-is-denied',
    advice:
      'Wait a minute. If no person does that, somebody asks for challenges in the user’s name: look at the caller.',
  },
  'too-many-refusals': {
    meaning: 'As many authentications of the user were refused, one after the other, as the policy’s userLimits allow.',
    faults: ['user', 'attacker'],
    clauses: [],
    runbook: 'a-caller-is-denied',
    advice:
      'Wait half an hour after the last refusal. First find out why the authentications were refused, or the user is shut out again.',
  },
};

/** The problems that statistics count among the reasons. */
export const COUNTED_PROBLEMS: Readonly<Record<string, AdvisedNotes>> = {
  'challenge-spent': {
    meaning: 'The challenge was never issued, has expired or was already used.',
    faults: ['caller', 'user'],
    clauses: [],
    runbook: 'challenges-are-spent-too-early',
    advice: 'Begin again with a new challenge. If it happens often, the page sends answers late or twice.',
  },
  'credential-exists': {
    meaning: 'The credential is already registered.',
    faults: ['authenticator', 'caller'],
    clauses: ['§7.1 step 26'],
    runbook: 'ceremonies-are-refused',
    advice:
      'Let the user sign in with the passkey that exists. The options exclude it if the browser gets them unchanged.',
  },
  'relying-party-denied': {
    meaning: 'The relying party is switched off or has ended, or the caller may not act for it.',
    faults: ['operator'],
    clauses: [],
    runbook: SUCCESSOR,
    advice: 'Switch the relying party on, set another end, or use its successor.',
  },
};

export const FAULTS: Readonly<Record<Fault, string>> = {
  caller: 'the calling application or its page',
  authenticator: 'the authenticator or its maker',
  policy: 'a rule of the policy',
  user: 'the user, who chose or waited wrongly',
  operator: 'what an operator has set, or has not',
  attacker: 'perhaps an attacker',
};

const OTHERS: Readonly<Record<string, AdvisedNotes>> = { ...POLICY_REASONS, ...LIMIT_REASONS, ...COUNTED_PROBLEMS };

/** @returns undefined for a text that is none of the closed lists, such as a reason of a later version */
export function explainRefusal(reason: string): Explanation | undefined {
  if (Object.hasOwn(CEREMONY_REASONS, reason)) {
    const known = reason as Reason;
    return { reason, ...CEREMONY_REASONS[known], advice: ADVICE[known] };
  }
  const notes = Object.hasOwn(OTHERS, reason) ? OTHERS[reason] : undefined;
  return notes && { reason, ...notes };
}

/** Says whose doing it usually is, as the end of a sentence. */
export function nameFaults(faults: readonly Fault[]): string {
  return faults.map((fault) => FAULTS[fault]).join('; or ');
}
