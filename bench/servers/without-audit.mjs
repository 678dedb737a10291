/**
 * Takes the audit log's events out of the build as it is loaded, to measure what they cost: no record is made, none is
 * stored, and nothing waits to be put in order. For: node --import this-file dist/src/main.js
 */
import { registerHooks } from 'node:module';

const WITHOUT = `
import { v7 as uuidv7 } from 'uuid';
export function auditRow(entry, context, time) {
  const id = uuidv7({ msecs: time.getTime() });
  return { id, entry, values: [id, ...Array(AUDIT_ROW_WIDTH - 1).fill(null)] };
}
export function auditStatement(first, source = '(SELECT) AS always') {
  return nothing(first, source);
}
export function auditParts(first, source) {
  return \`recorded AS (\${nothing(first, source)})\`;
}
export function auditPartsEach(source) {
  return \`recorded AS (SELECT FROM \${source} WHERE FALSE)\`;
}
function nothing(first, source) {
  const values = AUDIT_PARAMETERS.map(([name]) => auditParameter(first, name)).join(', ');
  return \`SELECT \${values} FROM \${source} WHERE FALSE\`;
}
`;

/** The functions that WITHOUT has anew, under another name. */
const setAside = (source) =>
  source
    .replace(/import \{ v7 as uuidv7 \} from 'uuid';/, '')
    .replace(/export function (auditRow|auditStatement|auditParts|auditPartsEach)\(/g, 'function replaced_$1(');

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith('/src/audit/audit-row.js')) return loaded;
    return { ...loaded, source: setAside(String(loaded.source)) + WITHOUT };
  },
});
