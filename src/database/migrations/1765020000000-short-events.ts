import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Makes the function that returns an event as it was hashed, from its row. `audit_event.event` may have it in the short
 * form: a control character stands for each text that many events have in common, and for each string that is also in
 * a column of the row. JSON has no control characters (RFC 8259 §7), so the short form of an event is its own only. An event that
 * is not in the short form has none of them, and stays as it is.
 *
 * This version reads both forms, and does not write the short one yet, because the previous version cannot read it.
 */
export class ShortEvents1765020000000 implements MigrationInterface {
  name = 'ShortEvents1765020000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE FUNCTION audit_event_text(e audit_event) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT ${lengthenSql('e.event')}
      $$`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP FUNCTION audit_event_text');
  }
}

/**
 * Columns of the row, each with the control character that stands for its value and the quotation marks around it. The
 * text replaces the values in this order, after the phrases.
 */
export const COLUMNS = [
  ['\\x01', 'id', '::text'],
  ['\\x02', 'actor', ''],
  ['\\x03', 'rp_id', ''],
  ['\\x04', 'user_id', ''],
  ['\\x05', 'credential_uid', '::text'],
  ['\\x06', 'credential_id', ''],
] as const;

/**
 * Texts of many events, each with the control character that stands for it. A successful authentication has them all.
 * They are replaced in this order, the longest first, because that takes the least time.
 */
export const PHRASES = [
  [
    '\\x07',
    '},"auth_factors":[{"factor_type":"WebAuthn","factor_type_id":10}],"auth_protocol":"WebAuthn","auth_protocol_id":99,"category_name":"Identity & Access Management","category_uid":3,"class_name":"Authentication","class_uid":3002,"dst_endpoint":{"hostname":',
  ],
  [
    '\\x08',
    ',"version":"1.8.0"},"service":{"name":"Passkey Manager"},"severity":"Informational","severity_id":1,"src_endpoint":{"ip":"',
  ],
  ['\\x0b', ',"product":{"name":"Passkey Manager","vendor_name":"Passkey Manager"},"profiles":["datetime"],"uid":'],
  ['\\x0c', ',"authorizations":[{"decision":"allowed","policy":{"name":"access policy","uid":"'],
  ['\\x0e', ',"type_name":"Authentication: Logon","type_uid":300201,"unmapped":{"backed_up":'],
  ['\\x0f', '{"activity_id":1,"activity_name":"Logon","actor":{"app_uid":'],
  ['\\x10', '},"is_mfa":true,"metadata":{"correlation_uid":"'],
  ['\\x11', '},"status":"Success","status_id":1,"time":'],
  ['\\x12', ',"permission":"passkeys:authenticate",'],
  ['\\x13', '"}}],"session":{"credential_uid":"'],
  ['\\x14', ',"event_code":"credential.verify"'],
  ['\\x15', '"credential":{"credential_id":'],
  ['\\x16', '","challenge_issued_at":"'],
  ['\\x17', '"risks":[],"rp_id":'],
  ['\\x18', '},"user":{"domain":'],
  ['\\x19', ',"challenge_id":"'],
] as const;

/** SQL: the text with which a value of a column is in an event; empty if the column is. */
export function quotedSql(column: string, cast: string): string {
  return `coalesce('"' || ${column}${cast} || '"', '')`;
}

/** SQL: undoes the replacements, the last one first. */
function lengthenSql(event: string): string {
  const values = COLUMNS.map(([character, column, cast]) => [character, quotedSql(`e.${column}`, cast)] as const);
  const phrases = PHRASES.map(([character, phrase]) => [character, `'${phrase}'`] as const);
  return [...phrases, ...values].reduceRight(
    (text, [character, original]) => `replace(${text}, E'${character}', ${original})`,
    event,
  );
}
