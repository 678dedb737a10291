import type { LoggedEvent } from './logged-event.js';

const MAX_FACTS = 6;
/** Facts that the report shows elsewhere or that are too long to read. */
const OMITTED: ReadonlySet<string> = new Set([...['permission', 'epoch', 'policy', 'trust', 'previous_digest', 'credential'], 'policy_digest']); // prettier-ignore

/** Describes an event in one line: its relying party, reason, detail and first few facts. */
export function describeChange({ reason, detail, rpId, facts }: LoggedEvent): string {
  const told = Object.entries(facts).flatMap(([name, value]) => {
    if (OMITTED.has(name) || name === 'rp_id') return [];
    const shown = formatFact(value);
    return shown === '' ? [] : [`${name.replaceAll('_', ' ')} ${shown}`];
  });
  const more = told.length > MAX_FACTS ? ['…'] : [];
  return [rpId, [reason, detail].filter(Boolean).join(': '), ...told.slice(0, MAX_FACTS), ...more].filter(Boolean).join(' · ');
} // prettier-ignore

function formatFact(value: unknown): string {
  if (typeof value === 'string') return /^[0-9a-f]{40,}$/.test(value) ? `${value.slice(0, 12)}…` : value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return value.map(formatFact).filter(Boolean).join(', ');
  return '';
}
