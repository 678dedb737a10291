import type { AuditEntry } from './audit-entry.js';

/** Replaces the name of the event's own user in a text: `user.uid` gives the id. */
export const REDACTED = '{user.uid}';

/** The facts that callers write; identity proofs have a time beside these members. */
const WRITTEN_BY_CALLERS: ReadonlySet<string> = new Set(['method', 'purpose', 'reference', 'status_reason']);

/** An id this short is likely to be part of other words. */
const SHORT = 4;
const WORD = /[\p{L}\p{N}]$/u;
const WORD_BEGINS = /^[\p{L}\p{N}]/u;

/** Takes the user's id out of the texts that people and callers wrote, so an erasure reaches them, too. */
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

function withoutId(text: string, userId: string): string {
  return [...spellingsOf(userId)].reduce((rest, spelling) => without(rest, spelling), text);
}

/** The id as it is, as a URL has it, whose hex digits may be of either case, and as JSON has it. */
function spellingsOf(id: string): Set<string> {
  const encoded = encodeURIComponent(id);
  const inLowerCase = encoded.replace(/%../g, (byte) => byte.toLowerCase());
  return new Set([id, encoded, inLowerCase, JSON.stringify(id).slice(1, -1)]);
}

/** Finds a short id only where it is a word of its own. */
function without(text: string, id: string): string {
  const [first = '', ...rest] = text.split(id);
  return rest.reduce((before, after) => {
    const isPart = id.length < SHORT && (WORD.test(before) || WORD_BEGINS.test(after));
    return before + (isPart ? id : REDACTED) + after;
  }, first);
}
