import type { AuditEntry } from './audit-entry.js';

/** Stands where a text names the user of its own event, whose id is known by `user.uid`. */
export const REDACTED = '{user.uid}';

/** The facts that callers write; identity proofs have a time beside these members. */
const WRITTEN_BY_CALLERS: ReadonlySet<string> = new Set(['method', 'purpose', 'reference', 'status_reason']);

/** An id this short is likely to be part of other words. */
const SHORT = 4;
const WORD = /[\p{L}\p{N}]$/u;
const WORD_BEGINS = /^[\p{L}\p{N}]/u;

/** The entry without its user's id in what people and callers wrote, so that an erasure reaches that, too. */
export function redactUserId(entry: AuditEntry): AuditEntry {
  const { userId, detail, facts } = entry;
  if (!userId) return entry;
  return {
    ...entry,
    ...(detail !== undefined && { detail: withoutId(detail, userId) }),
    ...(facts && { facts: redactMembers(facts, userId) }),
  };
}

function redactMembers(members: Readonly<Record<string, unknown>>, userId: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => {
      if (typeof value === 'string') return [name, WRITTEN_BY_CALLERS.has(name) ? withoutId(value, userId) : value];
      return [name, name === 'identity_proof' && value ? redactMembers(value as typeof members, userId) : value];
    }),
  );
}

/** As it is and as it stands in a URL. */
function withoutId(text: string, userId: string): string {
  const [redacted, encoded] = [without(text, userId), encodeURIComponent(userId)];
  return encoded === userId ? redacted : without(redacted, encoded);
}

/** A short id is found as a word of its own alone. */
function without(text: string, id: string): string {
  const [first = '', ...rest] = text.split(id);
  return rest.reduce((before, after) => {
    const isPart = id.length < SHORT && (WORD.test(before) || WORD_BEGINS.test(after));
    return before + (isPart ? id : REDACTED) + after;
  }, first);
}
