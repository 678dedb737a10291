/**
 * The browser as a witness of the log: it keeps the last checkpoint that it verified, and demands that every later one continues
 * it. What does not continue is kept beside it as evidence, and the old checkpoint stays.
 */
import type { SignedCheckpoint } from '../../src/tlog/checkpoint.js';
import { KeyHistory } from '../../src/tlog/key-history.js';
import { formatVerifierKey, parseVerifierKeys, type VerifierKey } from '../../src/tlog/keys.js';
import { isSameHash, verifyConsistency } from '../../src/tlog/proofs.js';
import { parseConsistency } from '../../src/tlog/proof-documents.js';

/** What the browser keeps of a log. */
export interface Kept {
  /** The checkpoint, a signed note. */
  readonly note: string;
  /** The verifier keys by which it was verified, one a line. They are public. */
  readonly keys: string;
  /** When the browser began to watch, and when it last saw the log go on; RFC 3339. */
  readonly since: string;
  readonly seen: string;
  /** What did not continue it, the oldest first. A log that goes on later does not undo it. */
  readonly breaks?: readonly Break[];
}

/** Evidence: what the service showed, and what does not hold. */
export interface Break extends Shown {
  /** RFC 3339 */
  readonly time: string;
  readonly fault: string;
}

/** What the service shows now. */
export interface Shown {
  readonly note: string;
  readonly keys: string;
}

/** What a witness says of a log. */
export interface Verdict {
  /** `keys`: the log goes on, but others sign it, and a person has to say that this is right. */
  readonly kind: 'begins' | 'continues' | 'keys' | 'broken';
  /** What does not hold, in a sentence. */
  readonly fault?: string;
  readonly checkpoint?: SignedCheckpoint;
  readonly before?: SignedCheckpoint;
  /** The keys that are new, and those that are gone, by their names. */
  readonly added: readonly string[];
  readonly gone: readonly string[];
}

/** Asks the service for the consistency proof. @returns the text of the answer */
export type AskConsistency = (from: number, to: number) => Promise<string>;

/**
 * Judges what the service shows by what the browser keeps.
 *
 * @throws Problem if the service does not answer for the proof
 */
export async function judge(kept: Kept | undefined, shown: Shown, askConsistency: AskConsistency): Promise<Verdict> {
  const none = { added: [], gone: [] };
  const [former, before] = kept ? openKept(kept) : [[], undefined];
  let checkpoint: SignedCheckpoint;
  let present: VerifierKey[];
  try {
    present = parseVerifierKeys(shown.keys);
    checkpoint = new KeyHistory(present, former.length === 0 ? [] : [former]).open(shown.note);
  } catch (error) {
    return {
      kind: 'broken',
      fault: `The checkpoint does not verify: ${(error as Error).message}.`,
      ...none,
      ...(before && { before }),
    };
  }
  if (!before) return { kind: 'begins', checkpoint, ...none };
  const seen = { checkpoint, before, added: without(present, former), gone: without(former, present) };
  const fault = await findBreak(before, checkpoint, askConsistency);
  if (fault !== undefined) return { kind: 'broken', fault, ...seen };
  return { kind: seen.added.length + seen.gone.length > 0 ? 'keys' : 'continues', ...seen };
}

/** Says why a checkpoint does not continue an older one. @throws Problem */
export async function findBreak(
  before: SignedCheckpoint,
  checkpoint: SignedCheckpoint,
  askConsistency: AskConsistency,
): Promise<string | undefined> {
  const [old, now] = [before.size.toLocaleString('en'), checkpoint.size.toLocaleString('en')];
  if (before.origin !== checkpoint.origin)
    return `This is another log: it calls itself ${checkpoint.origin}, and the one that was kept is ${before.origin}.`;
  if (checkpoint.size < before.size) return `The log is shorter: it has ${now} events, and it had ${old}.`;
  if (checkpoint.size === before.size)
    return isSameHash(checkpoint.root, before.root)
      ? undefined
      : `The log is forked: at ${now} events it shows another root than the one that it signed before.`;
  try {
    const { from, to, proof } = parseConsistency(await askConsistency(before.size, checkpoint.size));
    const sizes = from === before.size && to === checkpoint.size;
    const trees = { from, to, proof, fromRoot: before.root, toRoot: checkpoint.root };
    if (sizes && verifyConsistency(trees)) return undefined;
  } catch (error) {
    if ((error as Error).name !== 'ExportError') throw error;
  }
  return `The log does not continue: its ${now} events do not begin with the ${old} that it signed before.`;
}

/** @throws Error if what the browser keeps is damaged */
function openKept({ note, keys }: Kept): [VerifierKey[], SignedCheckpoint] {
  try {
    const former = parseVerifierKeys(keys);
    return [former, new KeyHistory(former).open(note)];
  } catch (error) {
    throw new Error(DAMAGED, { cause: error });
  }
}

export const DAMAGED =
  'What this browser keeps of the log is damaged, so it cannot say if the log continues. The view Log can forget it.';

export function openBefore(kept: Kept): SignedCheckpoint {
  return openKept(kept)[1];
}

/** The names of the keys that another list does not have. */
function without(keys: readonly VerifierKey[], others: readonly VerifierKey[]): string[] {
  const known = new Set(others.map(formatVerifierKey));
  return keys.filter((key) => !known.has(formatVerifierKey(key))).map(nameKey);
}

/** Says if the service names the keys by which the browser watches the log. */
export function isSameKeys(kept: Kept, keys: string): boolean {
  const [former, present] = [parseVerifierKeys(kept.keys), parseVerifierKeys(keys)];
  return without(present, former).length === 0 && without(former, present).length === 0;
}

export function nameKey({ name, keyId, algorithm }: VerifierKey): string {
  return `${name}+${keyId} (${algorithm})`;
}

/** Moves on to a newer checkpoint. */
export function remember(kept: Kept | undefined, { note, keys }: Shown, now: Date): Kept {
  const seen = now.toISOString();
  return { ...kept, note, keys, since: kept?.since ?? seen, seen };
}

/** So many breaks are kept; the first are those that count. */
const MAX_BREAKS = 10;

/** Keeps the old checkpoint, and beside it what did not continue it. */
export function recordBreak(kept: Kept, { note, keys }: Shown, fault: string, now: Date): Kept {
  const { breaks = [] } = kept;
  const isKnown = breaks.some((known) => known.note === note && known.fault === fault);
  if (isKnown || breaks.length === MAX_BREAKS) return kept;
  return { ...kept, breaks: [...breaks, { note, keys, fault, time: now.toISOString() }] };
}
