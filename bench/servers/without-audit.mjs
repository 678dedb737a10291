/**
 * Takes the audit log's events out of the build as it is loaded, to measure what they cost: no record is made, none is
 * stored, and nothing waits to be put in order. For: node --import this-file dist/src/main.js
 */
import { registerHooks } from 'node:module';

const WITHOUT = `
import { v7 as uuidv7 } from 'uuid';
export function createAuditRow(entry, context, time) {
  const id = uuidv7({ msecs: time.getTime() });
  return { id, entry, values: [id, ...Array(AUDIT_ROW_WIDTH - 1).fill(null)] };
}
export function insertEventSql(first, source = '(SELECT) AS always') {
  return nothing(first, source);
}
export function insertEventPartsSql(first, source) {
  return \`recorded AS (\${nothing(first, source)})\`;
}
export function insertEachEventPartsSql(source) {
  return \`recorded AS (SELECT FROM \${source} WHERE FALSE)\`;
}
function nothing(first, source) {
  const values = AUDIT_PARAMETERS.map(([name]) => auditParameterSql(first, name)).join(', ');
  return \`SELECT \${values} FROM \${source} WHERE FALSE\`;
}
`;

/** The functions that WITHOUT has anew, under another name. */
const setAside = (source) =>
  source
    .replace(/import \{ v7 as uuidv7 \} from 'uuid';/, '')
    .replace(
      /export function (createAuditRow|insertEventSql|insertEventPartsSql|insertEachEventPartsSql)\(/g,
      'function replaced_$1(',
    );

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith('/src/audit/audit-event.repository.js')) return loaded;
    return { ...loaded, source: setAside(String(loaded.source)) + WITHOUT };
  },
});
