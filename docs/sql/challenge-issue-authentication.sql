-- challenge-issue-authentication
--
-- Issues challenges for authentications: checks the limits of each user, stores the challenge and its
-- audit event, and returns the policy and the descriptors for the options. It commits asynchronously.
--
-- Rendered from src/challenges/challenge.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

WITH
  asynchronous AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)),
  asked AS MATERIALIZED (
    SELECT
      given.*,
      policy,
      coalesce(
        (SELECT audit_uid::text FROM user_handle u WHERE u.rp_id = given.rp_id AND u.user_id = given.user_id),
        audit_stand_in
      ) AS uid
    FROM
      asynchronous,
      (
        SELECT *, string_to_table AS audit_event
        FROM ROWS FROM (
          json_to_recordset($1::json) AS (
            id uuid,
            rp_id text,
            user_id text,
            purpose text,
            issued_to text,
            challenge bytea,
            now timestamptz,
            audit_id uuid,
            audit_type text,
            audit_outcome text,
            audit_actor text,
            audit_rp_id text,
            audit_user_id text,
            audit_credential_uid uuid,
            audit_credential_id text,
            audit_stand_in text
          ),
          string_to_table($2::text, E'\n')
        ) WITH ORDINALITY
      ) AS given
    JOIN relying_party USING (rp_id)
    WHERE enabled
  ),
  counted AS MATERIALIZED (
    SELECT
      *,
      (
        SELECT id
        FROM audit_event
        WHERE
          rp_id = asked.rp_id
          AND user_id = asked.uid
          AND type = 'challenge.issue'
          AND outcome = 'success'
          AND id >= $3::uuid
          AND id < $6::uuid
          AND strpos(event, '"ceremony":"' || 'authentication' || '"') > 0
        ORDER BY id DESC
        OFFSET coalesce((policy #>> '{userLimits,challengesPerMinute}')::integer, 120) - 1
        LIMIT 1
      ) AS challenge_in_the_way,
      (
        SELECT ids[1]
        FROM (
          SELECT array_agg(id ORDER BY id DESC) AS ids
          FROM (
            SELECT id
            FROM audit_event
            WHERE
              rp_id = asked.rp_id
              AND user_id = asked.uid
              AND type = 'credential.verify'
              AND outcome = 'failure'
              AND id >= $5::uuid
              AND id < $6::uuid
            ORDER BY id DESC
            LIMIT coalesce((policy #>> '{userLimits,refusalsPerHalfHour}')::integer, 100)
          ) AS newest
        ) AS refused
        WHERE
          array_length(ids, 1) = coalesce((policy #>> '{userLimits,refusalsPerHalfHour}')::integer, 100)
          AND ids[1] >= $4::uuid
          AND NOT EXISTS (
            SELECT
            FROM credential
            WHERE
              rp_id = asked.rp_id
              AND user_id = asked.user_id
              AND extract(epoch FROM last_used_at) * 1000 > (
                'x' || translate(
                  left(
                    (ids[coalesce((policy #>> '{userLimits,refusalsPerHalfHour}')::integer, 100)])::text, 13
                  ),
                  '-',
                  ''
                )
              )::bit(48)::bigint
          )
      ) AS refusal_in_the_way
    FROM asked
  ),
  free AS MATERIALIZED (
    SELECT *, now + make_interval(secs => (policy ->> 'challengeTtlSeconds')::integer) AS expires_at
    FROM counted
    WHERE challenge_in_the_way IS NULL AND refusal_in_the_way IS NULL
  ),
  issued AS (
    INSERT INTO challenge (
      id, rp_id, user_id, purpose, issued_to, challenge, ceremony, conditional, attachment, expires_at
    )
    SELECT id, rp_id, user_id, purpose, issued_to, challenge, 'authentication', FALSE, NULL, expires_at
    FROM free
  ),
  recorded AS (
    INSERT INTO audit_event (
      id, event, leaf_hash, type, outcome, actor, rp_id, user_id, credential_uid, credential_id
    )
    SELECT
      audit_id,
      written.event,
      sha256('\x00'::bytea || convert_to(written.event, 'UTF8')),
      audit_type,
      audit_outcome,
      audit_actor,
      audit_rp_id,
      subject.uid,
      audit_credential_uid,
      audit_credential_id
    FROM free
    CROSS JOIN LATERAL (SELECT free.uid AS uid OFFSET 0) AS subject
    CROSS JOIN LATERAL (
      SELECT coalesce(
        replace(audit_event, 'uid":"' || audit_stand_in || '"', 'uid":"' || subject.uid || '"'), audit_event
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
SELECT
  counted.ordinality::integer AS n,
  counted.policy,
  free.expires_at::timestamptz(3),
  counted.challenge_in_the_way,
  counted.refusal_in_the_way,
  (
    SELECT json_agg(
      json_build_object('id', encode(credential_id, 'hex'), 'transports', transports)
      ORDER BY coalesce(last_used_at, created_at) DESC, id DESC
    )
    FROM (
      SELECT *
      FROM credential
      WHERE rp_id = counted.rp_id AND user_id = counted.user_id AND status = 'active'
      ORDER BY coalesce(last_used_at, created_at) DESC, id DESC
      LIMIT 64
    ) AS shown
  ) AS descriptors
FROM counted
LEFT JOIN free USING (ordinality)
