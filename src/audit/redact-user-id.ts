import type { AuditEntry } from './audit-entry.js';

/** Replaces the id of the event's own user in a text. The event's `user.uid` identifies the user. */
export const REDACTED = '{user.uid}';

/** Facts that callers write. An identity proof has a time beside these members. */
const WRITTEN_BY_CALLERS: ReadonlySet<string> = new Set(['method', 'purpose', 'reference', 'source', 'status_reason']);

/** An id shorter than this is likely to be part of other words. */
const SHORT = 4;
const WORD = /[\p{L}\p{N}]$/u;
const WORD_BEGINS = /^[\p{L}\p{N}]/u;

/** Removes the user's id from texts that people and callers wrote, so that an erasure covers them, too. */
export function redactUserId(entry: AuditEntry): AuditEntry {
  const { userId, detail, facts } = entry;
  if (!userId) return entry;
  return {
    ...entry,
    ...(detail !== undefined && { detail: redactText(detail, userId) }),
    ...(facts && { facts: redactMembers(facts, userId) }),
  };
}

function redactMembers(members: Readonly<Record<string, unknown>>, userId: string): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => {
      if (typeof value === 'string') return [name, WRITTEN_BY_CALLERS.has(name) ? redactText(value, userId) : value];
      return [name, name === 'identity_proof' && value ? redactMembers(value as typeof members, userId) : value];
    }),
  );
}

/** Replaces each spelling of the user's id in a text. */
export function redactText(text: string, userId: string): string {
  return [...listSpellings(userId)].reduce((rest, spelling) => redactSpelling(rest, spelling), text);
}

/** Lists the spellings of an id: as it is, URL-encoded with hexadecimal digits of either case, and JSON-escaped. */
function listSpellings(id: string): Set<string> {
  const encoded = encodeURIComponent(id);
  const inLowerCase = encoded.replace(/%../g, (byte) => byte.toLowerCase());
  return new Set([id, encoded, inLowerCase, JSON.stringify(id).slice(1, -1)]);
}

/** Redacts an id in a text. A short id is redacted only where it is a word of its own. */
function redactSpelling(text: string, id: string): string {
  const [first = '', ...rest] = text.split(id);
  return rest.reduce((before, after) => {
    const isPart = id.length < SHORT && (WORD.test(before) || WORD_BEGINS.test(after));
    return before + (isPart ? id : REDACTED) + after;
  }, first);
}
