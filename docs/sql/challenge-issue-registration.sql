-- challenge-issue-registration
--
-- Issues a challenge for a registration: checks the limit of the user, makes or finds the user handle,
-- and stores the challenge and its audit event. It commits asynchronously.
--
-- Rendered from src/challenges/challenge.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

WITH
  asynchronous AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
  limited AS (
    SELECT (
      SELECT id
      FROM audit_event
      WHERE
        rp_id = $2
        AND user_id = coalesce(
          (SELECT audit_uid::text FROM user_handle WHERE rp_id = $20::text AND user_id = $21::text), $24::text
        )
        AND type = 'challenge.issue'
        AND outcome = 'success'
        AND id >= $13::uuid
        AND id < $14::uuid
        AND strpos(event, '"ceremony":"' || 'registration' || '"') > 0
      ORDER BY id DESC
      OFFSET $12::integer - 1
      LIMIT 1
    ) AS challenge_in_the_way
    FROM asynchronous
  ),
  handle AS (
    INSERT INTO user_handle (rp_id, user_id, handle, created_at)
    SELECT $2::text, $3::text, $10::bytea, $11::timestamptz
    FROM limited
    WHERE challenge_in_the_way IS NULL
    ON CONFLICT (rp_id, user_id) DO UPDATE SET handle = user_handle.handle
    RETURNING handle, audit_uid
  ),
  issued AS (
    INSERT INTO challenge (
      id, rp_id, user_id, purpose, issued_to, challenge, ceremony, conditional, attachment, expires_at
    )
    SELECT
      $1::uuid,
      $2::text,
      $3::text,
      $4::text,
      $5::text,
      $6::bytea,
      'registration',
      $8::boolean,
      $9::text,
      $7::timestamptz
    FROM handle
    RETURNING id
  ),
  recorded AS (
    INSERT INTO audit_event (
      id, event, leaf_hash, type, outcome, actor, rp_id, user_id, credential_uid, credential_id
    )
    SELECT
      $15::uuid,
      written.event,
      sha256('\x00'::bytea || convert_to(written.event, 'UTF8')),
      $17::text,
      $18::text,
      $19::text,
      $20::text,
      subject.uid,
      $22::uuid,
      $23::text
    FROM issued, handle
    CROSS JOIN LATERAL (
      SELECT CASE WHEN $21::text IS NOT NULL THEN handle.audit_uid::text END AS uid
      OFFSET 0
    ) AS subject
    CROSS JOIN LATERAL (
      SELECT coalesce(
        replace($16::text, 'uid":"' || $24::text || '"', 'uid":"' || subject.uid || '"'), $16::text
      ) AS event
      OFFSET 0
    ) AS written
    RETURNING id, leaf_hash
  ),
  waiting AS (
    INSERT INTO audit_pending (event_id, leaf_hash)
    SELECT id, leaf_hash
    FROM recorded
  )
SELECT challenge_in_the_way, NULL AS refusal_in_the_way, handle
FROM limited
LEFT JOIN handle ON TRUE
