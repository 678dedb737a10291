import { parseUnambiguous } from './canonical-json.js';
import { ExportError, LineFault } from './export-error.js';
import { demandCount, demandHash, demandObject } from './export-lines.js';

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
