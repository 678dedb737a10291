import { Problem } from '../../src/http/problem.js';
import { readCredentialLine } from '../../src/portability/credential-line.js';
import { CellFault, Cells } from './cells.js';
import { readRows } from './rows.js';
import { DumpError, type Row, simplifyName } from './row.js';
import { type PasskeyLine, type Source, type SourceName, SOURCES } from './sources.js';

/** What was found in a dump. */
export interface Tally {
  rows: number;
  passkeys: number;
  /** Rows that cannot be read. */
  faults: number;
  /** Rows that are no passkeys, or of another relying party. */
  others: number;
}

export interface ReadOptions {
  readonly source: SourceName;
  /** Reads only the rows of this relying party, where the table has a column `rp_id`. */
  readonly rpId: string | undefined;
  readonly tally: Tally;
  /** Called for each row that cannot be read. */
  readonly onFault: (line: number, fault: string) => void;
  /** Called with the columns that no reader knows, for a table that is made for the reader. */
  readonly onIgnored: (columns: readonly string[]) => void;
}

/**
 * Turns the rows of a dump into lines of the import.
 *
 * @throws DumpError if the file as a whole cannot be read
 */
export async function* readPasskeys(
  chunks: AsyncIterable<Buffer>,
  { source: name, rpId, tally, onFault, onIgnored }: ReadOptions,
): AsyncGenerator<PasskeyLine> {
  const source: Source = SOURCES[name];
  for await (const row of readRows(chunks, (columns) => {
    demandColumns(columns, source);
    const ignored = findIgnored(columns, source);
    if (ignored.length > 0) onIgnored(ignored);
  })) {
    tally.rows += 1;
    const line = 'fault' in row ? row.fault : readRow(row, name, rpId);
    if (line === undefined) tally.others += 1;
    else if (typeof line === 'string') {
      tally.faults += 1;
      onFault(row.line, line);
    } else {
      tally.passkeys += 1;
      yield line;
    }
  }
}

/** @returns the line, why there is none, or undefined for a row that is no passkey of the relying party */
function readRow(row: Row, source: SourceName, rpId: string | undefined): PasskeyLine | string | undefined {
  try {
    const cells = new Cells(row);
    const of = cells.text('rp_id');
    if (rpId !== undefined && of !== undefined && of !== rpId) return undefined;
    const read = SOURCES[source].read(cells);
    if (!read) return undefined;
    const line = { ...read, source };
    readCredentialLine(line, { rpId: rpId ?? '', now: new Date() });
    return line;
  } catch (error) {
    if (error instanceof CellFault) return error.message;
    if (error instanceof Problem) return (error.members.invalid ?? []).map(({ detail }) => detail).join('; ');
    throw error;
  }
}

/** @throws DumpError that names the columns that are missing */
function demandColumns(columns: readonly string[], { required }: Source): void {
  const present = new Set(columns.map(simplifyName));
  const missing = required.filter((names) => !names.some((name) => present.has(simplifyName(name))));
  if (missing.length === 0) return;
  const needed = missing.map((names) => names.join(' or ')).join(', ');
  throw new DumpError(
    `lacks columns: ${needed}; its first line names ${columns.slice(0, 40).join(', ').slice(0, 400)}`,
  );
}

function findIgnored(columns: readonly string[], { columns: known }: Source): string[] {
  const names = known && new Set(known.map(simplifyName));
  return names ? columns.filter((column) => !names.has(simplifyName(column))) : [];
}
