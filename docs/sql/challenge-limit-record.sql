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
  SELECT $1::uuid, $2::text, $3::bytea, $5::text, $6::text, $7::text, $8::text, $9::text, $10::uuid, $11::text
  FROM (
    SELECT
    WHERE NOT EXISTS (
      SELECT
      FROM audit_event
      WHERE
        rp_id = $8::text
        AND user_id = $9::text
        AND type = 'challenge.limit'
        AND outcome = 'failure'
        AND id >= $12::uuid
        AND strpos(event, '"ceremony":"' || $13::text || '"') > 0
    )
  ) AS first
  RETURNING id
)
INSERT INTO audit_pending (event_id, leaf_hash, mac)
SELECT id, $3::bytea, $4::bytea
FROM recorded
RETURNING event_id AS id
