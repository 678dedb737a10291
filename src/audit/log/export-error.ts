/** Why a line does not hold; who reads the lines adds which one it is. */
export class LineFault extends Error {
  override readonly name = 'LineFault';
}

/** What of an export, or of what it is held against, does not hold. */
export class ExportError extends Error {
  override readonly name = 'ExportError';
  /** The first line of the export that does not hold, from 1; absent when the fault is not in the export. */
  readonly line: number | undefined;
  /** The last line that may not hold, when it is not known more closely. */
  readonly lastLine: number | undefined;

  constructor(reason: string, line?: number, lastLine = line) {
    const where = line === lastLine ? `line ${String(line)}` : `lines ${String(line)}\u2013${String(lastLine)}`;
    super(line === undefined ? reason : `${where}: ${reason}`);
    [this.line, this.lastLine] = [line, lastLine];
  }
}
