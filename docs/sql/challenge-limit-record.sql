-- challenge-limit-record
--
-- Records that a user is over a limit, unless an event within the last minute says so for the same
-- user and ceremony.
--
-- Rendered from src/challenges/user-limits.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

WITH recorded AS (
  INSERT INTO audit_event (
    id, event, leaf_hash, type, outcome, actor, rp_id, user_id, credential_uid, credential_id
  )
  SELECT
    $1::uuid,
    written.event,
    sha256('\x00'::bytea || convert_to(written.event, 'UTF8')),
    $3::text,
    $4::text,
    $5::text,
    $6::text,
    subject.uid,
    $8::uuid,
    $9::text
  FROM (
    SELECT
    WHERE NOT EXISTS (
      SELECT
      FROM audit_event
      WHERE
        rp_id = $6::text
        AND user_id = coalesce(
          (SELECT audit_uid::text FROM user_handle WHERE rp_id = $6::text AND user_id = $7::text), $10::text
        )
        AND type = 'challenge.limit'
        AND outcome = 'failure'
        AND id >= $11::uuid
        AND strpos(event, '"ceremony":"' || $12::text || '"') > 0
    )
  ) AS first
  CROSS JOIN LATERAL (
    SELECT coalesce(
      (SELECT audit_uid::text FROM user_handle WHERE rp_id = $6::text AND user_id = $7::text), $10::text
    ) AS uid
    OFFSET 0
  ) AS subject
  CROSS JOIN LATERAL (
    SELECT coalesce(
      replace($2::text, 'uid":"' || $10::text || '"', 'uid":"' || subject.uid || '"'), $2::text
    ) AS event
    OFFSET 0
  ) AS written
  RETURNING id, leaf_hash
)
INSERT INTO audit_pending (event_id, leaf_hash)
SELECT id, leaf_hash
FROM recorded
RETURNING event_id AS id
