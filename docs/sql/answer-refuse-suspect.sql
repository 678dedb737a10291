-- answer-refuse-suspect
--
-- Refuses answers that suggest a clone: as answer-refuse, and writes the signals of streams, if and
-- only if nobody had spent the challenge.
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
          audit_credential_id text,
          signal_kind text,
          signal_rp_id text,
          signal_user_id text,
          signal_name text,
          signal_attachment text,
          signal_aaguid uuid,
          signal_initiator text,
          signal_reason text,
          signal_txn text,
          signal_time timestamptz
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
  ),
  signalled AS (
    INSERT INTO signal (id, stream_id, kind, rp_id, user_id, facts, txn, happened_at)
    SELECT
      gen_random_uuid(),
      stream.id,
      signal_kind,
      signal_rp_id,
      signal_user_id,
      jsonb_build_object(
        'name',
        signal_name,
        'attachment',
        signal_attachment,
        'aaguid',
        signal_aaguid,
        'initiator',
        signal_initiator,
        'reason',
        signal_reason
      ),
      signal_txn,
      signal_time
    FROM (SELECT refused.* FROM refused JOIN spent ON spent.id = challenge_id) AS event
    JOIN signal_stream stream ON stream.status <> 'disabled' AND CASE signal_kind WHEN 'compromise' THEN 'https://schemas.openid.net/secevent/risc/event-type/credential-compromise' ELSE 'https://schemas.openid.net/secevent/caep/event-type/credential-change' END = ANY (stream.events_delivered) AND (
      stream.relying_parties IS NULL OR signal_rp_id = ANY (stream.relying_parties)
    )
    WHERE NOT EXISTS (
      SELECT
      FROM signal_excluded_subject excluded
      WHERE
        excluded.stream_id = stream.id
        AND excluded.rp_id = signal_rp_id
        AND excluded.user_id = signal_user_id
    )
  )
SELECT ordinality::integer AS n, TRUE AS refused
FROM refused
JOIN spent ON spent.id = challenge_id
