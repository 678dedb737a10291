/** The reason why a line does not hold. The reader of the lines adds the line's number. */
export class LineFault extends Error {
  override readonly name = 'LineFault';
}

/** The reason why an export, or the evidence that it is checked against, does not hold. */
export class ExportError extends Error {
  override readonly name = 'ExportError';
  /** The first line that does not hold, from 1; undefined when the fault is not in the export. */
  readonly line: number | undefined;
  /** The last line of the range that holds the fault; the same as `line` when the line is known. */
  readonly lastLine: number | undefined;

  constructor(reason: string, line?: number, lastLine = line) {
    const where = line === lastLine ? `line ${String(line)}` : `lines ${String(line)}\u2013${String(lastLine)}`;
    super(line === undefined ? reason : `${where}: ${reason}`);
    [this.line, this.lastLine] = [line, lastLine];
  }
}
