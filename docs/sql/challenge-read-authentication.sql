-- challenge-read-authentication
--
-- Reads what the options of authentications need: the policy, the descriptors of the user’s
-- credentials, and the last of the refusals that block the user.
--
-- Rendered from src/challenges/challenge.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

WITH asked AS MATERIALIZED (
  SELECT
    given.*,
    p.policy,
    p.seal AS party_seal,
    handle,
    audit_uid,
    u.seal AS user_seal,
    coalesce(audit_uid::text, stand_in) AS uid
  FROM ROWS FROM (
    json_to_recordset($1::json) AS (rp_id text, user_id text, stand_in text)
  ) WITH ORDINALITY AS given
  JOIN relying_party p USING (rp_id)
  LEFT JOIN user_handle u USING (rp_id, user_id)
  WHERE enabled
)
SELECT
  ordinality::integer AS n,
  party_seal,
  handle,
  audit_uid,
  user_seal,
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
          AND id >= $3::uuid
          AND id < $4::uuid
        ORDER BY id DESC
        LIMIT CASE WHEN policy #>> '{userLimits,refusalsPerHalfHour}' ~ '^[0-9]{1,9}$' THEN (
          policy #>> '{userLimits,refusalsPerHalfHour}'
        )::integer ELSE 100 END
      ) AS newest
    ) AS refused
    WHERE
      array_length(ids, 1) = CASE WHEN policy #>> '{userLimits,refusalsPerHalfHour}' ~ '^[0-9]{1,9}$' THEN (
        policy #>> '{userLimits,refusalsPerHalfHour}'
      )::integer ELSE 100 END
      AND ids[1] >= $2::uuid
      AND NOT EXISTS (
        SELECT
        FROM credential
        WHERE
          rp_id = asked.rp_id
          AND user_id = asked.user_id
          AND extract(epoch FROM last_used_at) * 1000 > (
            'x' || translate(
              left(
                (
                  ids[CASE WHEN policy #>> '{userLimits,refusalsPerHalfHour}' ~ '^[0-9]{1,9}$' THEN (
                    policy #>> '{userLimits,refusalsPerHalfHour}'
                  )::integer ELSE 100 END]
                )::text,
                13
              ),
              '-',
              ''
            )
          )::bit(48)::bigint
      )
  ) AS refusal_in_the_way,
  (
    SELECT json_agg(
      json_build_object('id', encode(credential_id, 'hex'), 'transports', transports)
      ORDER BY coalesce(last_used_at, created_at) DESC, id DESC
    )
    FROM (
      SELECT *
      FROM credential
      WHERE rp_id = asked.rp_id AND user_id = asked.user_id AND status = 'active'
      ORDER BY coalesce(last_used_at, created_at) DESC, id DESC
      LIMIT 64
    ) AS shown
  ) AS descriptors
FROM asked
