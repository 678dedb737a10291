import { type CompleteSettings, listDifferences } from '../explain/setting-differences.js';
import type { Schemas } from '../shell/api.js';

/** A change that its author has not stored yet. */
export interface KeptDraft {
  /** What it began with. */
  readonly party: Schemas['RelyingParty'];
  readonly base: CompleteSettings;
  readonly draft: CompleteSettings;
}

const kept = new Map<string, KeptDraft>();

/** Keeps the change of a relying party while its author looks at other views. The browser asks before the page closes. */
export function keepDraft(made: KeptDraft): void {
  const { rpId } = made.party;
  if (listDifferences(made.base, made.draft).length === 0) kept.delete(rpId);
  else kept.set(rpId, made);
}

export function findDraft(rpId: string): KeptDraft | undefined {
  return kept.get(rpId);
}

addEventListener('beforeunload', (event) => {
  if (kept.size > 0) event.preventDefault();
});
