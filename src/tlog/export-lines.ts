import { demandCanonical, isCanonical, parseUnambiguous } from './canonical-json.js';
import { LineFault } from './lines.js';
import { HASH_BYTES, hashLeaf } from './merkle.js';
import type { RangeProof } from './proofs.js';

/** A leaf of the log in an export: an event, or the hash of an event that retention has erased. */
export interface LeafLine {
  readonly kind: 'event' | 'erased';
  readonly leafIndex: number;
  readonly hash: Buffer;
  /**
   * The time of the event in milliseconds since 1970, if the line has it. The leaf's hash covers it, unless the event
   * is erased.
   */
  readonly time: number | undefined;
  /** The stored hash of the 256 leaves that this leaf completes, base64url. */
  readonly subtree: string | undefined;
}

/** The last line of an export, which has the leaves [from, to) of the `treeSize` leaves that the checkpoint signs. */
export interface ProofLine extends RangeProof {
  readonly kind: 'proof';
  readonly treeSize: number;
  readonly from: number;
  readonly to: number;
  readonly checkpoint: string;
}

/** The hashes that the log stores for a leaf. They let a verifier name the altered line. */
export interface StoredLeaf {
  readonly leafHash: Uint8Array;
  /**
   * The stored hash of level 8. Only leaves with an index of 255 modulo 256 have it, if the export has all 256 leaves.
   */
  readonly subtree?: Uint8Array | undefined;
  /** The stored hash of those 256 leaves is missing. */
  readonly subtreeMissing?: boolean;
}

/** @param event RFC 8785 JSON, as it was logged */
export function formatEvent(leafIndex: number, event: string, stored?: StoredLeaf): string {
  const leaf = stored ? `"leafHash":"${toBase64url(stored.leafHash)}",` : '';
  const hash = stored?.subtree && `"${toBase64url(stored.subtree)}"`;
  const subtree = hash ? `"subtree":${hash},` : stored?.subtreeMissing ? '"subtree":null,' : '';
  return `{"kind":"event","leafIndex":${String(leafIndex)},${leaf}${subtree}"event":${event}}\n`;
}

/** @param eventId the event's UUIDv7; its time shows if retention had ended, but no hash covers it */
export function formatErased(leafIndex: number, stored: StoredLeaf, eventId?: string): string {
  return formatBare('erased', leafIndex, stored, eventId);
}

/** Writes the line of an event that should exist but does not. An export with such a line does not verify. */
export function formatMissing(leafIndex: number, stored: StoredLeaf, eventId: string): string {
  return formatBare('missing', leafIndex, stored, eventId);
}

function formatBare(kind: string, leafIndex: number, stored: StoredLeaf, eventId?: string): string {
  const subtree = stored.subtree ? toBase64url(stored.subtree) : stored.subtreeMissing ? null : undefined;
  return `${JSON.stringify({ kind, leafIndex, leafHash: toBase64url(stored.leafHash), subtree, eventId })}\n`;
}

export function formatProof({ treeSize, from, to, left, right, checkpoint }: Omit<ProofLine, 'kind'>): string {
  const hashes = { left: left.map(toBase64url), right: right.map(toBase64url) };
  return `${JSON.stringify({ kind: 'proof', treeSize, from, to, ...hashes, checkpoint })}\n`;
}

/** @throws LineFault */
export function parseExportLine(text: string): LeafLine | ProofLine {
  return parseCanonicalEvent(text) ?? parseAnyLine(text);
}

const CANONICAL_EVENT =
  /^\{"kind":"event","leafIndex":(0|[1-9]\d{0,15}),(?:"leafHash":"([\w-]{43})",)?(?:"subtree":"([\w-]{43})",)?"event":(?=\{)/;

/**
 * Parses an event line as `formatEvent` writes it. Returns undefined for any other line, which `parseAnyLine` takes.
 */
function parseCanonicalEvent(text: string): LeafLine | undefined {
  const [start, leafIndex, stored, subtree] = CANONICAL_EVENT.exec(text) ?? [];
  if (start === undefined || !text.endsWith('}')) return undefined;
  const event = text.slice(start.length, -1);
  try {
    const value = JSON.parse(event) as Members;
    if (!isCanonical(event, value)) return undefined;
    return makeLeaf(Number(leafIndex), event, value, { stored, subtree });
  } catch (error) {
    if (error instanceof LineFault) throw error;
    return undefined;
  }
}

function parseAnyLine(text: string): LeafLine | ProofLine {
  const line = demandObject(parseUnambiguous(text));
  switch (line['kind']) {
    case 'event':
      return parseEvent(demandMembers(line, ['kind', 'leafIndex', 'event'], ['leafHash', 'subtree']));
    case 'erased':
      return parseErased(demandMembers(line, ['kind', 'leafIndex', 'leafHash'], ['eventId', 'subtree']));
    case 'missing':
      throw new LineFault('the event is gone, and no archive has it');
    case 'proof':
      return parseProof(demandMembers(line, ['kind', 'treeSize', 'from', 'to', 'left', 'right', 'checkpoint'], []));
    default:
      throw new LineFault(describeForeignLine(line));
  }
}

/** A request for an export may have been refused, and the refusal saved. */
function describeForeignLine({ type }: Members): string {
  const [, problem] = /^urn:passkey-manager:problem:([a-z-]+)$/.exec(typeof type === 'string' ? type : '') ?? [];
  if (problem === undefined) return 'is not an event, an erased event or the proof';
  return `is no line of an export: the service refused to export, as ${problem}`;
}

function parseEvent(line: Members): LeafLine {
  const event = demandObject(line['event']);
  const { leafHash: stored, subtree } = demandHashTexts(line);
  return makeLeaf(demandCount(line, 'leafIndex'), demandCanonical(event), event, { stored, subtree });
}

function parseErased(line: Members): LeafLine {
  const { leafHash: stored, subtree } = demandHashTexts(line);
  const leafIndex = demandCount(line, 'leafIndex');
  return { kind: 'erased', leafIndex, hash: demandHash(stored), time: readUuidTime(line['eventId']), subtree };
}

function parseProof(line: Members): ProofLine {
  const [treeSize, from, to] = [demandCount(line, 'treeSize'), demandCount(line, 'from'), demandCount(line, 'to')];
  const { left, right, checkpoint } = line;
  if (!Array.isArray(left) || !Array.isArray(right) || typeof checkpoint !== 'string') {
    throw new LineFault('lacks its hashes or its checkpoint');
  }
  if (from > to || to > treeSize) throw new LineFault('has a range that is not in its tree');
  const hashes = { left: left.map(demandHash), right: right.map(demandHash) };
  return { kind: 'proof', treeSize, from, to, ...hashes, checkpoint };
}

function makeLeaf(
  leafIndex: number,
  event: string,
  { time }: Members,
  { stored, subtree }: { stored: string | undefined; subtree: string | undefined },
): LeafLine {
  const hash = hashLeaf(event);
  if (stored !== undefined && stored !== toBase64url(hash)) {
    throw new LineFault('the event does not match the hash that the log stores for this leaf');
  }
  return { kind: 'event', leafIndex, hash, time: isTime(time) ? time : undefined, subtree };
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(new Date(value).getTime());
}

type Members = Readonly<Record<string, unknown>>;

function demandHashTexts(line: Members): { leafHash: string | undefined; subtree: string | undefined } {
  if (line['subtree'] === null) throw new LineFault('the hash of the 256 leaves that end here is gone');
  for (const name of ['leafHash', 'subtree']) if (line[name] !== undefined) demandHash(line[name]);
  return line as { leafHash: string | undefined; subtree: string | undefined };
}

export function demandObject(value: unknown): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new LineFault('is not an object');
  return value as Members;
}

function demandMembers(line: Members, required: readonly string[], optional: readonly string[]): Members {
  const missing = required.find((name) => !Object.hasOwn(line, name));
  if (missing !== undefined) throw new LineFault(`lacks ${missing}`);
  const unknown = Object.keys(line).find((name) => !required.includes(name) && !optional.includes(name));
  if (unknown !== undefined) throw new LineFault(`has the unknown member ${JSON.stringify(unknown)}`);
  return line;
}

export function demandCount(line: Members, name: string): number {
  const count = line[name];
  if (!Number.isSafeInteger(count) || (count as number) < 0) throw new LineFault(`${name} is not a count`);
  return count as number;
}

/** base64url without padding, in its only valid spelling. @throws LineFault */
export function demandHash(value: unknown): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'base64url') : Buffer.of();
  if (bytes.length !== HASH_BYTES || toBase64url(bytes) !== value) throw new LineFault('has a malformed hash');
  return bytes;
}

const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** RFC 9562 §5.7: a UUIDv7 begins with its time in milliseconds. */
function readUuidTime(id: unknown): number | undefined {
  if (id === undefined) return undefined;
  const uuid = typeof id === 'string' ? UUID_V7.exec(id) : null;
  if (uuid === null) throw new LineFault('eventId is not a UUIDv7');
  return parseInt(`${uuid[1]!}${uuid[2]!}`, 16);
}

function toBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}
