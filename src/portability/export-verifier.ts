import { KeyHistory } from '../tlog/key-history.js';
import type { VerifierKey } from '../tlog/keys.js';
import { ExportError, LineFault, LineSplitter } from '../tlog/lines.js';
import { NoteError } from '../tlog/signed-note.js';
import type { SignedCheckpoint } from '../tlog/checkpoint.js';
import { ABOUT, type ExportEnd, ExportFrame, type ExportHeader } from './export-frame.js';

export interface VerifiedExport {
  readonly header: ExportHeader;
  readonly end: ExportEnd;
  /** When the last line was signed, to the second, and by which keys. */
  readonly signed: Pick<SignedCheckpoint, 'time' | 'keys'>;
}

/**
 * Verifies an export of credentials with the verifier keys of the audit log. Memory does not grow with its length.
 *
 * @param former the keys before, a list for each time, the oldest first
 * @throws ExportError that names the line that does not verify
 */
export async function verifyCredentialExport(
  chunks: AsyncIterable<Uint8Array | string>,
  keys: readonly VerifierKey[],
  {
    former,
    onProgress,
  }: { former?: readonly (readonly VerifierKey[])[]; onProgress?: (bytes: number, lines: number) => void } = {},
): Promise<VerifiedExport> {
  const splitter = new LineSplitter();
  const lines = new OrderedLines();
  let bytes = 0;
  for await (const chunk of chunks) {
    for (const text of splitter.push(chunk)) lines.take(text);
    bytes += chunk.length;
    onProgress?.(bytes, lines.line);
  }
  for (const text of splitter.end()) lines.take(text);
  return lines.finish(new KeyHistory(keys, former));
}

/** Takes the lines of an export one after another, and names the one that cannot stand where it does. */
class OrderedLines {
  line = 0;
  private readonly frame = new ExportFrame();
  private lastId = '';

  take(text: string): void {
    this.line += 1;
    this.name(() => {
      if (text.endsWith('\r')) throw new LineFault('ends with CR LF: the line ends were changed on the way');
      const kind = this.frame.take(text);
      if (kind === 'credential' || kind === 'left-out') this.demandOrder(text);
    });
  }

  finish(keys: KeyHistory): VerifiedExport {
    return this.name(() => {
      const end = this.frame.finish();
      const header = this.frame.header!;
      const signed = keys.open(end.signature, ABOUT);
      if (signed.origin !== `${header.deployment}${ABOUT}`)
        throw new LineFault(`is signed by ${signed.origin}, but the first line names ${header.deployment}`);
      if (signed.size !== end.count || signed.root.toString('base64url') !== end.digest)
        throw new LineFault('the signature is that of another export');
      return { header, end, signed };
    });
  }

  /** The rows are in the order of their ids, so a line that was moved stands out. */
  private demandOrder(text: string): void {
    const id = readId(text);
    if (id <= this.lastId) throw new LineFault(`is out of order: ${id} does not come after ${this.lastId}`);
    this.lastId = id;
  }

  /** Adds the number of the line to what is wrong with it. */
  private name<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (error) {
      if (error instanceof LineFault || error instanceof NoteError) {
        throw new ExportError(error.message, Math.max(this.line, 1));
      }
      throw error;
    }
  }
}

function readId(text: string): string {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    throw new LineFault('is not JSON');
  }
  const id = (line as { id?: unknown } | null)?.id;
  if (typeof id !== 'string') throw new LineFault('has no id, so it is no line of an export');
  return id;
}
