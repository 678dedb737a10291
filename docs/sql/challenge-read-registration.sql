-- challenge-read-registration
--
-- Reads what the options of registrations need: the policy, the descriptors of the user’s credentials,
-- and the user handle. A new user gets one. It commits asynchronously.
--
-- Rendered from src/challenges/challenge.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

WITH
  asynchronous AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
  asked AS MATERIALIZED (
    SELECT given.*, seal AS party_seal
    FROM
      asynchronous,
      ROWS FROM (
        json_to_recordset($1::json) AS (
          rp_id text, user_id text, new_handle bytea, new_uid uuid, new_seal bytea, now timestamptz
        )
      ) WITH ORDINALITY AS given
    JOIN relying_party USING (rp_id)
    WHERE enabled
  ),
  known AS MATERIALIZED (
    SELECT ordinality, u.handle, u.audit_uid, u.seal, u.revocations
    FROM asked
    JOIN user_handle u ON u.rp_id = asked.rp_id AND u.user_id = asked.user_id
  ),
  made AS (
    INSERT INTO user_handle (rp_id, user_id, handle, created_at, audit_uid, seal)
    SELECT rp_id, user_id, new_handle, now, new_uid, new_seal
    FROM asked
    WHERE ordinality NOT IN (SELECT ordinality FROM known)
    ORDER BY rp_id, user_id
    ON CONFLICT (rp_id, user_id) DO UPDATE SET handle = user_handle.handle
    RETURNING rp_id, user_id, handle, audit_uid, seal, revocations
  )
SELECT
  asked.ordinality::integer AS n,
  party_seal,
  coalesce(known.handle, made.handle) AS handle,
  coalesce(known.audit_uid, made.audit_uid) AS audit_uid,
  coalesce(known.seal, made.seal) AS user_seal,
  coalesce(known.revocations, made.revocations, 0) AS revocations,
  (
    SELECT json_agg(
      json_build_object('id', encode(credential_id, 'hex'), 'transports', transports)
      ORDER BY coalesce(last_used_at, created_at) DESC, id DESC
    )
    FROM (
      SELECT *
      FROM credential
      WHERE rp_id = asked.rp_id AND user_id = asked.user_id AND status <> 'revoked'
      ORDER BY coalesce(last_used_at, created_at) DESC, id DESC
      LIMIT 64
    ) AS shown
  ) AS descriptors
FROM asked
LEFT JOIN known USING (ordinality)
LEFT JOIN made ON made.rp_id = asked.rp_id AND made.user_id = asked.user_id
