-- authentication-accept-suspect
--
-- Accepts authentications that suggest a clone, where the policy flags them: as authentication-accept,
-- and writes the signals of streams, if and only if it accepted.
--
-- Rendered from src/credentials/answer.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

WITH
  verified AS MATERIALIZED (
    SELECT *
    FROM (
      SELECT *, string_to_table AS audit_event
      FROM ROWS FROM (
        json_to_recordset($1::json) AS (
          challenge_id uuid,
          rp_id text,
          id uuid,
          mac bytea,
          read_version integer,
          read_count bigint,
          received bigint,
          backed_up boolean,
          eligible boolean,
          new_version integer,
          new_mac bytea,
          now timestamptz,
          signed_in timestamptz,
          new_keys text,
          held_handle bytea,
          flag boolean,
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
    ORDER BY rp_id, id
  ),
  locked AS MATERIALIZED (
    SELECT verified.*
    FROM
      verified,
      LATERAL (
        SELECT rp_id AS found_rp_id, status, version, binding_mac, sign_count
        FROM credential
        WHERE id = verified.id
        FOR NO KEY UPDATE
        OFFSET 0
      ) AS c
    WHERE
      rp_id = found_rp_id
      AND c.status = 'active'
      AND c.binding_mac = mac
      AND c.version = read_version
      AND c.sign_count = read_count
      AND (c.sign_count < received OR (c.sign_count = 0 AND received = 0) OR flag)
  ),
  spent AS (
    INSERT INTO spent_challenge (id)
    SELECT challenge_id
    FROM locked
    ORDER BY challenge_id
    ON CONFLICT DO NOTHING
    RETURNING id
  ),
  accepted AS (
    UPDATE credential c
    SET
      sign_count = greatest(c.sign_count, received),
      backed_up = v.backed_up,
      backup_eligible = eligible,
      version = new_version,
      binding_mac = new_mac,
      last_used_at = now,
      last_sign_in_at = signed_in,
      browser_keys = coalesce(new_keys, c.browser_keys),
      user_handle = held_handle
    FROM locked v
    JOIN spent ON spent.id = v.challenge_id
    WHERE
      c.id = ANY (ARRAY(SELECT id FROM locked))
      AND c.id = v.id
      AND c.rp_id || '' = v.rp_id
      AND c.status = 'active'
      AND c.binding_mac = mac
      AND c.version = read_version
      AND c.sign_count = read_count
      AND (c.sign_count < received OR (c.sign_count = 0 AND received = 0) OR flag)
    RETURNING ordinality, c.sign_count
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
    FROM (SELECT verified.* FROM verified JOIN accepted USING (ordinality)) AS event
  ),
  waiting AS (
    INSERT INTO audit_pending (event_id, leaf_hash, mac)
    SELECT audit_id, audit_leaf_hash, audit_mac
    FROM (SELECT verified.* FROM verified JOIN accepted USING (ordinality)) AS event
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
    FROM (SELECT verified.* FROM verified JOIN accepted USING (ordinality)) AS event
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
SELECT ordinality::integer AS n, sign_count
FROM locked
LEFT JOIN accepted USING (ordinality)
