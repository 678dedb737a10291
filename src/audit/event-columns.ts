/**
 * SQL: true if the columns by which an event is found say what the event says; false or NULL if they do not. Nothing else
 * covers them: the leaf hash is one of the event alone.
 *
 * It finds members by their text. Canonical JSON has that text only as a member, because quotation marks inside of a text are
 * escaped. `to_json` writes a text as RFC 8785 does.
 */
export const COLUMNS_HOLD_SQL = [
  hasMemberSql('event_code', 'type'),
  `strpos(event, CASE outcome WHEN 'success' THEN '"status":"Success"' WHEN 'failure' THEN '"status":"Failure"' END) > 0`,
  hasMemberOrNoneSql('app_uid', 'actor'),
  hasMemberOrNoneSql('rp_id', 'rp_id'),
  `CASE WHEN credential_id IS NULL AND credential_uid IS NULL THEN strpos(event, '"credential":{') = 0
        ELSE strpos(event, ${objectSql('credential', { credential_id: 'credential_id', uid: 'credential_uid', user_uid: 'user_id' })}) > 0 END`,
  `CASE WHEN user_id IS NULL THEN event !~ '"user(_uid":|":\\{("domain":"[^"]*",)?"uid":)'
        ELSE ${hasMemberSql('user_uid', 'user_id')} OR strpos(event, ${objectSql('user', { domain: 'rp_id', uid: 'user_id' })}) > 0 END`,
].join('\n AND ');

function memberSql(name: string, column: string): string {
  return `'"${name}":' || to_json(${column})`;
}

function hasMemberSql(name: string, column: string): string {
  return `strpos(event, ${memberSql(name, column)}) > 0`;
}

function hasMemberOrNoneSql(name: string, column: string): string {
  return `coalesce(${hasMemberSql(name, column)}, strpos(event, '"${name}":') = 0)`;
}

/** SQL: the text of an object without the members that are NULL. */
function objectSql(name: string, members: Readonly<Record<string, string>>): string {
  const texts = Object.entries(members).map(([member, column]) => memberSql(member, column));
  return `'"${name}":{' || concat_ws(',', ${texts.join(', ')}) || '}'`;
}
