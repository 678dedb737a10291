-- registration-accept
--
-- Accepts registrations: locks each user, spends the challenge, stores the credential if the user may
-- have one more, and writes the audit event, and the signals of streams, if and only if it stored the
-- credential.
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
          told_handle bytea,
          told_revocations integer,
          party_version integer,
          most integer,
          txn text,
          rp_id text,
          id uuid,
          user_id text,
          credential_id bytea,
          public_key bytea,
          algorithm integer,
          aaguid uuid,
          name text,
          status text,
          status_reason text,
          status_changed_at timestamptz,
          attachment text,
          transports text[],
          discoverable boolean,
          backup_eligible boolean,
          backed_up boolean,
          user_verified boolean,
          attestation_format text,
          attestation_trust text,
          sign_count bigint,
          created_at timestamptz,
          created_by text,
          last_used_at timestamptz,
          last_sign_in_at timestamptz,
          browser_keys text,
          user_handle bytea,
          version integer,
          binding_mac bytea,
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
    ORDER BY rp_id, user_id
  ),
  locked AS MATERIALIZED (
    SELECT verified.*
    FROM
      verified,
      LATERAL (
        SELECT handle, revocations
        FROM user_handle u
        WHERE u.rp_id = verified.rp_id AND u.user_id = verified.user_id
        FOR UPDATE
        OFFSET 0
      ) AS u
    WHERE handle = told_handle AND coalesce(revocations, 0) = told_revocations
  ),
  checked AS MATERIALIZED (
    SELECT
      locked.*,
      count_credentials(rp_id, user_id) AS held,
      coalesce(
        (
          SELECT p.version = locked.party_version AND p.enabled
          FROM relying_party p
          WHERE p.rp_id = locked.rp_id
        ),
        FALSE
      ) AS current,
      EXISTS (
        SELECT
        FROM (SELECT rp_id FROM credential c WHERE c.credential_id = locked.credential_id OFFSET 0) AS found
        WHERE found.rp_id = locked.rp_id
      ) AS taken
    FROM locked
  ),
  spent AS (
    INSERT INTO spent_challenge (id)
    SELECT challenge_id
    FROM checked
    WHERE held < most AND current AND NOT taken
    ORDER BY challenge_id
    ON CONFLICT DO NOTHING
    RETURNING id
  ),
  stored AS (
    INSERT INTO credential (
      rp_id,
      id,
      user_id,
      credential_id,
      public_key,
      algorithm,
      aaguid,
      name,
      status,
      status_reason,
      status_changed_at,
      attachment,
      transports,
      discoverable,
      backup_eligible,
      backed_up,
      user_verified,
      attestation_format,
      attestation_trust,
      sign_count,
      created_at,
      created_by,
      last_used_at,
      last_sign_in_at,
      browser_keys,
      user_handle,
      version,
      binding_mac
    )
    SELECT
      checked.rp_id,
      checked.id,
      checked.user_id,
      checked.credential_id,
      checked.public_key,
      checked.algorithm,
      checked.aaguid,
      checked.name,
      checked.status,
      checked.status_reason,
      checked.status_changed_at,
      checked.attachment,
      checked.transports,
      checked.discoverable,
      checked.backup_eligible,
      checked.backed_up,
      checked.user_verified,
      checked.attestation_format,
      checked.attestation_trust,
      checked.sign_count,
      checked.created_at,
      checked.created_by,
      checked.last_used_at,
      checked.last_sign_in_at,
      checked.browser_keys,
      checked.user_handle,
      checked.version,
      checked.binding_mac
    FROM checked
    JOIN spent ON spent.id = challenge_id
    ORDER BY credential_id
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
    FROM (SELECT checked.* FROM checked JOIN stored USING (id)) AS event
  ),
  waiting AS (
    INSERT INTO audit_pending (event_id, leaf_hash, mac)
    SELECT audit_id, audit_leaf_hash, audit_mac
    FROM (SELECT checked.* FROM checked JOIN stored USING (id)) AS event
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
    FROM (
      SELECT
        'create' AS signal_kind,
        rp_id AS signal_rp_id,
        user_id AS signal_user_id,
        name AS signal_name,
        attachment AS signal_attachment,
        aaguid AS signal_aaguid,
        'user' AS signal_initiator,
        'the user registered it' AS signal_reason,
        txn AS signal_txn,
        created_at AS signal_time
      FROM checked
      JOIN stored USING (id)
    ) AS created
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
SELECT ordinality::integer AS n, stored.id IS NOT NULL AS stored, current, taken, held
FROM checked
LEFT JOIN stored ON stored.id = checked.id
