import { readFileSync } from 'node:fs';

/** A change that nothing refuses and nothing finds, as docs/threat-model.md declares it. */
export interface Declared {
  readonly table: string;
  /** With the state in brackets before it, if it is declared only for rows of that state. */
  readonly column: string;
  readonly operation: string;
  readonly role: string;
}

const PAGE = 'docs/threat-model.md';
const HEADER = '| table.column ';

/**
 * Reads the list of the threat model. A row of it may name several columns, changes and roles, with commas between them.
 *
 * @throws Error for a row without a reason
 */
export function readDeclared(): Declared[] {
  const lines = readFileSync(PAGE, 'utf8').split('\n');
  const header = lines.findIndex((line) => line.startsWith(HEADER));
  const end = lines.findIndex((line, index) => index > header && !line.startsWith('|'));
  return lines.slice(header + 2, end).flatMap((line) => {
    const [, columns = '', operations = '', roles = '', reason = ''] = line.split('|').map((cell) => cell.trim());
    if (reason === '') throw new Error(`${PAGE} declares this without a reason: ${line}`);
    return split(columns).flatMap((name) =>
      split(operations).flatMap((operation) =>
        split(roles).map((role) => {
          const [, table = '', state = '', column = ''] = /^`(\w+)(\[.+\])?\.(.+)`$/.exec(name) ?? [];
          return { table, column: state + column, operation, role };
        }),
      ),
    );
  });
}

const split = (cell: string): string[] => cell.split(',').map((part) => part.trim());
