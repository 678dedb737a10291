-- challenge-redeem
--
-- Deletes challenges and returns each with what its answer is checked against: the relying party, the
-- credential that the answer names and the handle of its user. It commits asynchronously.
--
-- Rendered from src/credentials/answer.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

WITH
  asynchronous AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
  free AS MATERIALIZED (
    SELECT challenge.*, ordinality, answered
    FROM
      asynchronous,
      ROWS FROM (
        json_to_recordset($1::json) AS (
          challenge_id uuid, spiffe_id text, relying_parties text[], answered bytea
        )
      ) WITH ORDINALITY AS given,
      LATERAL (
        SELECT ctid AS place, *
        FROM challenge
        WHERE
          id = challenge_id
          AND issued_to = spiffe_id
          AND (relying_parties IS NULL OR rp_id = ANY (relying_parties))
        FOR UPDATE SKIP LOCKED
      ) AS challenge
  ),
  redeemed AS (
    DELETE FROM challenge
    WHERE ctid = ANY (ARRAY(SELECT place FROM free))
    RETURNING id
  )
SELECT
  r.ordinality::integer AS n,
  r.rp_id,
  r.user_id,
  r.ceremony,
  r.purpose,
  r.challenge,
  r.conditional,
  r.attachment,
  r.expires_at,
  p.origins,
  p.enabled,
  p.policy,
  h.handle,
  h.audit_uid,
  c.rp_id AS c_rp_id,
  c.id AS c_id,
  c.user_id AS c_user_id,
  c.credential_id AS c_credential_id,
  c.public_key AS c_public_key,
  c.algorithm AS c_algorithm,
  c.aaguid AS c_aaguid,
  c.name AS c_name,
  c.status AS c_status,
  c.status_reason AS c_status_reason,
  c.status_changed_at AS c_status_changed_at,
  c.attachment AS c_attachment,
  c.transports AS c_transports,
  c.discoverable AS c_discoverable,
  c.backup_eligible AS c_backup_eligible,
  c.backed_up AS c_backed_up,
  c.user_verified AS c_user_verified,
  c.attestation_format AS c_attestation_format,
  c.attestation_trust AS c_attestation_trust,
  c.sign_count AS c_sign_count,
  c.created_at AS c_created_at,
  c.created_by AS c_created_by,
  c.last_used_at AS c_last_used_at,
  c.binding_mac AS c_binding_mac
FROM free r
JOIN redeemed USING (id)
LEFT JOIN relying_party p ON p.rp_id = r.rp_id
LEFT JOIN LATERAL (
  SELECT *
  FROM (SELECT * FROM credential WHERE credential_id = r.answered OFFSET 0) AS found
  WHERE rp_id = r.rp_id
  LIMIT 1
) AS c ON TRUE
LEFT JOIN LATERAL (
  SELECT *
  FROM user_handle
  WHERE rp_id = r.rp_id AND user_id = coalesce(c.user_id, r.user_id)
  LIMIT 1
) AS h ON TRUE
