import { demandCanonical, parseUnambiguous } from './canonical-json.js';
import { ExportError, LineFault } from './lines.js';
import { demandCount, demandHash, demandObject } from './export-lines.js';
import { hashLeaf } from './merkle.js';
import { NoteError } from './signed-note.js';
import type { SignedCheckpoint } from './checkpoint.js';
import { KeyHistory } from './key-history.js';
import type { VerifierKey } from './keys.js';
import { isSameHash, verifyInclusion } from './proofs.js';

/**
 * A consistency proof as the API returns it: the tree of `to` leaves extends the tree of `from` leaves. Hashes in
 * base64url.
 */
export interface ConsistencyDocument {
  readonly from: number;
  readonly to: number;
  readonly proof: readonly string[];
}

export function toConsistencyDocument(from: number, to: number, proof: readonly Buffer[]): ConsistencyDocument {
  return { from, to, proof: proof.map((hash) => hash.toString('base64url')) };
}

/** @throws ExportError */
export function parseConsistency(text: string): { from: number; to: number; proof: Buffer[] } {
  try {
    const document = demandObject(parseUnambiguous(text));
    const [from, to, { proof }] = [demandCount(document, 'from'), demandCount(document, 'to'), document];
    if (!Array.isArray(proof)) throw new LineFault('holds no proof');
    return { from, to, proof: proof.map(demandHash) };
  } catch (error) {
    if (error instanceof LineFault) throw new ExportError(`the consistency proof ${error.message}`);
    throw error;
  }
}

/** The result of an event and its inclusion proof: this event, and no other, has this place in the log. */
export interface ProvedEvent {
  readonly leafIndex: number;
  readonly id: string;
  readonly type: string;
  /** RFC 3339 */
  readonly time: string;
  /** The user's stand-in, which the proof covers. It covers no user id that the service shows in its place. */
  readonly pseudonym: string | undefined;
  readonly checkpoint: SignedCheckpoint;
}

const ALTERED = 'the event was altered, or is another one than was logged: its hash is not that of the proof';

type Members = Readonly<Record<string, unknown>>;

/**
 * @param eventText the response of GET /v1/audit/events/{id}, or the event's line of an export
 * @param proofText the response of GET /v1/audit/events/{id}/proof
 * @param former the keys that signed before `keys`, as `KeyHistory` takes them
 * @throws ExportError
 */
export function verifyEvent(
  eventText: string,
  proofText: string,
  keys: readonly VerifierKey[],
  former?: readonly (readonly VerifierKey[])[],
): ProvedEvent {
  const shown = nameFault('the event', () => demandObject(parseUnambiguous(eventText)));
  const record = restoreRecord(shown);
  const hash = nameFault('the event', () => hashLeaf(demandCanonical(record)));
  return nameFault('the proof', () => {
    const document = demandObject(parseUnambiguous(proofText));
    const [leafIndex, treeSize] = [demandCount(document, 'leafIndex'), demandCount(document, 'treeSize')];
    const { proof, checkpoint: note } = document;
    if (!Array.isArray(proof) || typeof note !== 'string') throw new LineFault('lacks its hashes or its checkpoint');
    if (!isSameHash(hash, demandHash(document['leafHash']))) throw new ExportError(ALTERED);
    const checkpoint = new KeyHistory(keys, former).open(note);
    if (checkpoint.size !== treeSize) throw new LineFault('is for another tree than its checkpoint');
    const inclusion = { index: leafIndex, size: treeSize, leafHash: hash, root: checkpoint.root };
    if (!verifyInclusion({ ...inclusion, proof: proof.map(demandHash) })) {
      throw new LineFault('does not lead from the event to the root that its checkpoint signs');
    }
    const place = readPlace(shown);
    if (place !== undefined && place !== leafIndex) {
      throw new ExportError(`the event shows place ${format(place)} of the log, and has place ${format(leafIndex)}`);
    }
    return { leafIndex, checkpoint, pseudonym: readPseudonym(shown, record), ...readNames(record) };
  });
}

/** The place that the event shows, which its hash does not cover; undefined if it shows none. */
function readPlace({ kind, leafIndex, metadata }: Members): unknown {
  return kind === 'event' ? leafIndex : (metadata as Members | undefined)?.['sequence'];
}

const format = (value: unknown): string => JSON.stringify(value);

/**
 * Restores the record as it was logged. The API adds the event's place in the log and replaces the user's pseudonym
 * with the user id: `uid_alt` has the pseudonym. An event whose class has no user gets both in `unmapped.user`.
 */
function restoreRecord(shown: Members): Members {
  if (shown['kind'] === 'event') return demandObject(shown['event']);
  const { metadata, user, unmapped } = shown as { metadata?: Members; user?: Members; unmapped?: Members };
  const { sequence: _, ...logged } = metadata ?? {};
  const record = { ...shown, ...(metadata && { metadata: logged }) };
  if (user) return restorePseudonym(record, user).record;
  const { user: added, ...facts } = (unmapped ?? {}) as { user?: Members };
  if (!added) return record;
  const restored = restorePseudonym({ ...record, unmapped: facts }, added);
  // Names that stand nowhere in the event are no part of what was logged, and say nothing that the proof covers.
  return restored.isNamed ? restored.record : record;
}

/** Puts the pseudonym back in the place of the user id. */
function restorePseudonym(
  record: Members,
  { uid_alt: uid, uid: userId }: Members,
): { readonly record: Members; readonly isNamed: boolean } {
  if (uid === undefined) return { record, isNamed: false };
  let isNamed = false;
  const text = JSON.stringify(record, (name, value: unknown) => {
    if (name === 'uid_alt') return undefined;
    if (value !== userId || (name !== 'uid' && name !== 'user_uid')) return value;
    isNamed = true;
    return uid;
  });
  return { record: JSON.parse(text) as Members, isNamed };
}

/** An event that names no user id in the place of a stand-in is shown as it was logged. */
function readPseudonym(shown: Members, record: Members): string | undefined {
  const of = (members: unknown): Members => ((members as Members | undefined)?.['user'] ?? {}) as Members;
  const uid = of(shown)['uid_alt'] ?? of(shown['unmapped'])['uid_alt'] ?? of(record)['uid'];
  return typeof uid === 'string' ? uid : undefined;
}

function readNames(record: Members): Pick<ProvedEvent, 'id' | 'type' | 'time'> {
  const { metadata, time } = record as { metadata?: Members; time?: unknown };
  const at = new Date(Number(time));
  return {
    id: String(metadata?.['uid']),
    type: String(metadata?.['event_code'] ?? record['type_name']),
    time: Number.isNaN(at.getTime()) ? 'no time' : at.toISOString(),
  };
}

function nameFault<Result>(what: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof LineFault || error instanceof NoteError) throw new ExportError(`${what} ${error.message}`);
    throw error;
  }
}
