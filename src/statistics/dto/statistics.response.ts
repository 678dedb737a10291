import type { AttestationTrust } from '../../webauthn/refusal.js';
import type { CredentialStatus } from '../../credentials/credential.entity.js';

export interface CredentialStatistics {
  computedAt: Date;
  byStatus: Record<CredentialStatus, number>;
  /** The models with the most passkeys that are not revoked. */
  byModel: { aaguid: string; name: string | null; credentials: number }[];
  /** The passkeys of all other models. */
  otherModels: number;
  byAlgorithm: { algorithm: number; credentials: number }[];
  /** `backupEligible` null: it is not known. */
  byBackup: { backupEligible: boolean | null; backedUp: boolean; credentials: number }[];
  byTrust: Record<AttestationTrust, number>;
  unusedFor90Days: number;
}

export interface CeremonyHour {
  hour: Date;
  ceremony: string;
  begun: number;
  answered: number;
  accepted: number;
  /** By reason. */
  refused: Record<string, number>;
}

export interface CeremonyStatistics {
  /** Every event that was in the log at this time is counted. */
  computedAt: Date | null;
  /** The first hour that is counted whole; null: all are. */
  since: Date | null;
  begun: number;
  neverAnswered: number;
  byHour: CeremonyHour[];
}

export interface StatisticsResponse {
  rpId: string;
  from: Date;
  to: Date;
  /** null: the relying party has many passkeys, and they are not counted yet. */
  credentials: CredentialStatistics | null;
  ceremonies: CeremonyStatistics;
}
