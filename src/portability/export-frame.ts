import { createHash } from 'node:crypto';
import type { LogSigner } from '../tlog/keys.js';
import { signCheckpoint } from '../tlog/checkpoint.js';
import { LineFault } from '../tlog/lines.js';

/*
 * What stands around the credentials of an export. Every line is a JSON object. A line with the member `kind` belongs to the
 * frame; any other is a credential (credential-line.ts).
 *
 *     {"kind":"header", …}       the first line
 *     {"kind":"left-out", …}     a row that failed its integrity check, in its place
 *     {"kind":"end", …}          the last line, which signs the bytes of all lines before it
 *
 * The signature is a C2SP note in the form of a checkpoint (tlog-checkpoint) with another origin than the log's: its size is
 * the number of credentials, and the digest takes the place of the root. So every key of the audit log signs, as it signs
 * checkpoints. The origin has a space, which no name of a log has.
 */

export const EXPORT_FORMAT = 'passkey-manager-credentials';
const VERSION = 1;
/** What follows the name of the log in the origin of the note. */
export const ABOUT = ' credentials';

/** The first line. */
export interface ExportHeader {
  readonly rpId: string;
  /** The name of the audit log whose keys sign: `passkey-manager/<deployment name>`. */
  readonly deployment: string;
  /** When the export began, RFC 3339. */
  readonly exportedAt: string;
  /** The id of the event `credential.export` that says that it began. */
  readonly exportId: string;
}

/** The last line. */
export interface ExportEnd {
  /** The number of credentials. */
  readonly count: number;
  /** The number of rows that are left out. */
  readonly leftOut: number;
  /** SHA-256 of the bytes of all lines before, with their line ends, base64url. */
  readonly digest: string;
  /** The note. */
  readonly signature: string;
}

export type LineKind = 'header' | 'left-out' | 'end' | 'credential';

export function formatHeader({ rpId, deployment, exportedAt, exportId }: ExportHeader): string {
  const format = { format: EXPORT_FORMAT, version: VERSION };
  return `${JSON.stringify({ kind: 'header', ...format, rpId, deployment, exportedAt, exportId })}\n`;
}

/** @param id of the row */
export function formatLeftOut(id: string): string {
  return `${JSON.stringify({ kind: 'left-out', id })}\n`;
}

export function formatEnd({ count, leftOut, digest, signature }: ExportEnd): string {
  return `${JSON.stringify({ kind: 'end', count, leftOut, digest, signature })}\n`;
}

/** Signs the end of an export with every key of the audit log. */
export function signEnd(
  { count, digest }: { count: number; digest: Buffer },
  { origin, signers }: { origin: string; signers: readonly LogSigner[] },
  time: Date,
): Promise<string> {
  return signCheckpoint({ origin: `${origin}${ABOUT}`, size: count, root: digest, extensions: [] }, signers, time);
}

/** True for a line of the frame, which begins with its kind. */
export function isOfFrame(text: string): boolean {
  return /^\s*\{\s*"kind"\s*:/.test(text);
}

/**
 * Reads the frame of an export line by line, and holds the last line against those before it. It does not verify the
 * signature (export-verifier.ts), and does not read the credentials.
 */
export class ExportFrame {
  header: ExportHeader | undefined;
  end: ExportEnd | undefined;
  /** The numbers of lines so far. */
  credentials = 0;
  leftOut = 0;
  private lines = 0;
  private readonly hash = createHash('sha256');

  /**
   * Takes the next line.
   *
   * @param text without its line end
   * @throws LineFault if the line cannot stand here, or does not say of the lines before it what is true
   */
  take(text: string): LineKind {
    if (this.end) throw new LineFault('nothing may follow the last line of the export');
    this.lines += 1;
    const kind = this.takeMembers(this.lines === 1 || isOfFrame(text) ? parseFrameLine(text) : undefined);
    if (kind === 'credential') this.credentials += 1;
    if (kind !== 'end') this.hash.update(text).update('\n');
    return kind;
  }

  /** @throws LineFault if the end has not come */
  finish(): ExportEnd {
    if (this.end) return this.end;
    if (this.lines === 0) throw new LineFault('the file is empty');
    throw new LineFault(
      'the export is cut off: the file ends without the last line, which has the count and the digest',
    );
  }

  private takeMembers(line: Members | undefined): LineKind {
    if (this.lines === 1 && line?.['kind'] !== 'header') {
      throw new LineFault(describeForeign(line) ?? 'is not the first line of an export');
    }
    switch (line?.['kind']) {
      case undefined:
        return 'credential';
      case 'header':
        if (this.lines > 1) throw new LineFault('is a first line, but others stand before it');
        this.header = readHeader(line);
        return 'header';
      case 'left-out':
        this.leftOut += 1;
        return 'left-out';
      case 'end':
        this.end = this.readEnd(line);
        return 'end';
      default:
        throw new LineFault(describeForeign(line) ?? 'is of an unknown kind');
    }
  }

  private readEnd(line: Members): ExportEnd {
    const { count, leftOut, digest, signature } = line;
    if (typeof digest !== 'string' || typeof signature !== 'string') throw new LineFault('lacks digest or signature');
    demandEqual('count', 'credentials', count, this.credentials);
    demandEqual('leftOut', 'rows that are left out', leftOut, this.leftOut);
    if (digest !== this.hash.copy().digest('base64url')) {
      throw new LineFault('the lines before are not those of its digest: one was altered, moved or replaced');
    }
    return { count: this.credentials, leftOut: this.leftOut, digest, signature };
  }
}

type Members = Readonly<Record<string, unknown>>;

function parseFrameLine(text: string): Members {
  try {
    return JSON.parse(text) as Members;
  } catch {
    throw new LineFault('is not JSON');
  }
}

function readHeader({ format, version, rpId, deployment, exportedAt, exportId }: Members): ExportHeader {
  if (format !== EXPORT_FORMAT) throw new LineFault('is not the first line of an export of credentials');
  if (version !== VERSION)
    throw new LineFault(`is of version ${String(version)}; this program reads ${String(VERSION)}`);
  const header = { rpId, deployment, exportedAt, exportId };
  for (const [name, value] of Object.entries(header)) {
    if (typeof value !== 'string') throw new LineFault(`lacks ${name}`);
  }
  return header as ExportHeader;
}

/** A request for an export may have been refused, and the refusal saved. */
function describeForeign(line: Members | undefined): string | undefined {
  const type = line?.['type'];
  const [, problem] = /^urn:passkey-manager:problem:([a-z-]+)$/.exec(typeof type === 'string' ? type : '') ?? [];
  return problem && `is no line of an export: the service refused to export, as ${problem}`;
}

function demandEqual(name: string, what: string, told: unknown, found: number): void {
  if (told === found) return;
  throw new LineFault(`${name} is ${JSON.stringify(told)}, but ${String(found)} ${what} stand before it`);
}
