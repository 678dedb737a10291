-- signal-write
--
-- Writes the signals of changes that a transaction makes, such as of a passkey that is renamed or
-- revoked.
--
-- Rendered from src/signals/outbox.repository.ts by
--   UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts

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
  SELECT *
  FROM json_to_recordset($1::json) AS given (
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
  )
) AS change
JOIN signal_stream stream ON stream.status <> 'disabled' AND CASE signal_kind WHEN 'compromise' THEN 'https://schemas.openid.net/secevent/risc/event-type/credential-compromise' ELSE 'https://schemas.openid.net/secevent/caep/event-type/credential-change' END = ANY (stream.events_delivered) AND (
  stream.relying_parties IS NULL OR signal_rp_id = ANY (stream.relying_parties)
)
WHERE NOT EXISTS (
  SELECT
  FROM signal_excluded_subject excluded
  WHERE excluded.stream_id = stream.id AND excluded.rp_id = signal_rp_id AND excluded.user_id = signal_user_id
)
