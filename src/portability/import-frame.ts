import type { Line } from '../http/line-body.js';
import { LineFault } from '../tlog/lines.js';
import { ExportFrame, isOfFrame } from './export-frame.js';

/** What an import says of the export that it was given. */
export interface ImportedExport {
  /** `altered`: the lines are not those that the last line was written for, or are no export. */
  readonly state: 'whole' | 'cut-off' | 'altered';
  /** Says where and why. */
  readonly detail?: string;
}

/**
 * Tells if the lines of an import are a whole export. Nothing here verifies the signature: an import has no key of another
 * deployment. The lines of an export that is not whole are imported nevertheless, because they come before what is missing.
 */
export class ImportFrame {
  private readonly frame = new ExportFrame();
  private isExport = false;
  private fault: string | undefined;

  /** @param firstLine the number of the first line of the body */
  constructor(private readonly firstLine: number) {}

  /** Takes the next line. @returns true if it is of the frame, and no passkey */
  take({ number, bytes }: Line): boolean {
    const text = bytes?.toString('utf8') ?? '';
    const isFrame = isOfFrame(text);
    this.isExport ||= isFrame;
    // A file without a frame needs no digest.
    if (this.fault === undefined && (this.isExport || number === this.firstLine)) this.check(text, number);
    return isFrame;
  }

  /** @returns undefined: it is no export, or begins in the middle of one */
  describe(): ImportedExport | undefined {
    if (!this.isExport || this.firstLine > 1) return undefined;
    if (this.fault !== undefined) return { state: 'altered', detail: this.fault };
    if (this.frame.end) return { state: 'whole' };
    return { state: 'cut-off', detail: 'the last line of the export is missing' };
  }

  private check(text: string, number: number): void {
    try {
      this.frame.take(text);
    } catch (error) {
      if (!(error instanceof LineFault)) throw error;
      this.fault = `line ${String(number)}: ${error.message}`;
    }
  }
}
