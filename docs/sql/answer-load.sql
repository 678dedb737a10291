-- answer-load
--
-- Reads what answers are checked against: the relying party, the credential that the answer names and
-- the handle of its user.
--
-- Rendered from src/credentials/loaded-answer.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

SELECT
  a.ordinality::integer AS n,
  p.seal AS party_seal,
  h.handle,
  h.audit_uid,
  h.seal AS user_seal,
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
  c.last_sign_in_at AS c_last_sign_in_at,
  c.browser_keys AS c_browser_keys,
  c.user_handle AS c_user_handle,
  c.version AS c_version,
  c.binding_mac AS c_binding_mac
FROM ROWS FROM (
  json_to_recordset($1::json) AS (rp_id text, user_id text, answered bytea)
) WITH ORDINALITY AS a
JOIN relying_party p ON p.rp_id = a.rp_id AND p.enabled
LEFT JOIN LATERAL (
  SELECT *
  FROM (SELECT * FROM credential WHERE credential_id = a.answered OFFSET 0) AS found
  WHERE rp_id = a.rp_id
  LIMIT 1
) AS c ON TRUE
LEFT JOIN LATERAL (
  SELECT *
  FROM user_handle
  WHERE rp_id = a.rp_id AND user_id = coalesce(c.user_id, a.user_id)
  LIMIT 1
) AS h ON TRUE
