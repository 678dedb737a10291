/**
 * Removes the events of the audit log from the build while Node loads it, to measure what they cost: the service makes no
 * record, stores none, and has no pending events. Usage: node --import this-file dist/src/main.js
 */
import { registerHooks } from 'node:module';

const REPLACEMENTS = `
import { v7 as uuidv7 } from 'uuid';
export function createAuditRow(entry, context, time) {
  const id = uuidv7({ msecs: time.getTime() });
  return { id, entry, values: [id, ...Array(AUDIT_ROW_WIDTH - 1).fill(null)] };
}
export function insertEventSql(first, source = '(SELECT) AS always') {
  return selectNothing(first, source);
}
export function insertEventPartsSql(first, source) {
  return \`recorded AS (\${selectNothing(first, source)})\`;
}
export function insertEachEventPartsSql(source) {
  return \`recorded AS (SELECT FROM \${source} WHERE FALSE)\`;
}
function selectNothing(first, source) {
  const values = AUDIT_PARAMETERS.map(([name]) => auditParameterSql(first, name)).join(', ');
  return \`SELECT \${values} FROM \${source} WHERE FALSE\`;
}
`;

/** Renames the functions that REPLACEMENTS replaces. */
const renameReplaced = (source) =>
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
    return { ...loaded, source: renameReplaced(String(loaded.source)) + REPLACEMENTS };
  },
});
