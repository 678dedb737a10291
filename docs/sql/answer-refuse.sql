-- answer-refuse
--
-- Refuses answers: spends each challenge, and writes the audit event if and only if nobody had spent
-- it.
--
-- Rendered from src/credentials/refused-answer.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

WITH
  refused AS MATERIALIZED (
    SELECT *
    FROM (
      SELECT *, string_to_table AS audit_event
      FROM ROWS FROM (
        json_to_recordset($1::json) AS (
          challenge_id uuid,
          audit_id uuid,
          audit_leaf_hash bytea,
          audit_mac bytea,
          audit_type text,
          audit_outcome text,
          audit_actor text,
          audit_rp_id text,
          audit_user_id text,
          audit_credential_uid uuid,
          audit_credential_id text
        ),
        string_to_table($2::text, E'\n')
      ) WITH ORDINALITY
    ) AS given
  ),
  spent AS (
    INSERT INTO spent_challenge (id)
    SELECT challenge_id
    FROM refused
    ORDER BY challenge_id
    ON CONFLICT DO NOTHING
    RETURNING id
  ),
  recorded AS (
    INSERT INTO audit_event (
      id, event, leaf_hash, type, outcome, actor, rp_id, user_id, credential_uid, credential_id
    )
    SELECT
      audit_id,
      audit_event,
      audit_leaf_hash,
      audit_type,
      audit_outcome,
      audit_actor,
      audit_rp_id,
      audit_user_id,
      audit_credential_uid,
      audit_credential_id
    FROM (SELECT refused.* FROM refused JOIN spent ON spent.id = challenge_id) AS event
  ),
  waiting AS (
    INSERT INTO audit_pending (event_id, leaf_hash, mac)
    SELECT audit_id, audit_leaf_hash, audit_mac
    FROM (SELECT refused.* FROM refused JOIN spent ON spent.id = challenge_id) AS event
  )
SELECT ordinality::integer AS n, TRUE AS refused
FROM refused
JOIN spent ON spent.id = challenge_id
