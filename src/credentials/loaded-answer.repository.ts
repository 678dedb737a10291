import type { SealedUser } from '../audit/sealed-user.js';
import type { Challenge } from '../challenges/challenge.js';
import { createRowsStatement, rowsSql, toByteaText } from '../database/rows-statement.js';
import { CREDENTIAL_COLUMNS, type CredentialEntity } from './credential.entity.js';

/** What an authentication is checked against: the present relying party, the credential that the answer names (prefix `c_`) and the handle of its user. */
export interface LoadedAnswer {
  /** The seal of the relying party, which says whose settings apply (RelyingPartyCopies). */
  readonly party_seal: Buffer | null;
  readonly handle: Buffer | null;
  /** The user's pseudonym in the audit log. */
  readonly audit_uid: string | null;
  readonly user_seal: Buffer | null;
  readonly c_id: string | null;
  readonly c_user_id: string | null;
}

const CREDENTIAL_MEMBERS = Object.entries(CREDENTIAL_COLUMNS).map(
  ([member, column]) => [member, `c_${column}`] as const,
);

/** The credential that the answer names; undefined: the relying party has none with this id. */
export function readCredential(loaded: LoadedAnswer): CredentialEntity | undefined {
  if (loaded.c_id === null) return undefined;
  const row = loaded as unknown as Readonly<Record<string, unknown>>;
  const credential: Record<string, unknown> = {};
  for (const [member, column] of CREDENTIAL_MEMBERS) credential[member] = row[column];
  return credential as unknown as CredentialEntity;
}

/** The owner of the credential, or the user of the challenge if the relying party has no such credential; null: a stranger. */
export function readUser(
  { handle, audit_uid: auditUid, user_seal: seal, c_user_id: owner }: LoadedAnswer,
  { rpId, userId: challenged }: LoadInput['challenge'],
): SealedUser | null {
  const userId = owner ?? challenged;
  if (handle === null || auditUid === null || userId === undefined) return null;
  return { rpId, userId, handle, auditUid, seal };
}

export interface LoadInput {
  readonly challenge: Pick<Challenge, 'rpId' | 'userId'>;
  /** Credential id in the answer. */
  readonly credentialId: Buffer;
}

/** No result: the relying party does not exist or is disabled. */
export const LOAD = createRowsStatement<LoadInput, LoadedAnswer>({
  name: 'answer-load',
  text: `SELECT a.ordinality::integer AS n, p.seal AS party_seal, h.handle, h.audit_uid, h.seal AS user_seal,
          ${Object.values(CREDENTIAL_COLUMNS)
            .map((column) => `c.${column} AS c_${column}`)
            .join(', ')}
   FROM ${rowsSql('rp_id text, user_id text, answered bytea')} AS a
     JOIN relying_party p ON p.rp_id = a.rp_id AND p.enabled
     LEFT JOIN LATERAL (
       SELECT * FROM (SELECT * FROM credential WHERE credential_id = a.answered OFFSET 0) AS found
        WHERE rp_id = a.rp_id LIMIT 1) AS c ON TRUE
     LEFT JOIN LATERAL (
       SELECT * FROM user_handle WHERE rp_id = a.rp_id AND user_id = coalesce(c.user_id, a.user_id) LIMIT 1) AS h ON TRUE`,
  record: ({ challenge, credentialId }) => ({
    rp_id: challenge.rpId,
    user_id: challenge.userId,
    answered: toByteaText(credentialId),
  }),
});
