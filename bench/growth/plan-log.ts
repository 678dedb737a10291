import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import pg from 'pg';

/** auto_explain's record of an executed statement. */
export interface Executed {
  readonly text: string;
  /** Pages that it read, from memory or disk. */
  readonly pages: number;
  /** Tables that it scanned whole, with their rows. */
  readonly scanned: readonly { readonly table: string; readonly rows: number }[];
}

interface Node {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly 'Rows Removed by Filter'?: number;
  readonly 'Shared Hit Blocks'?: number;
  readonly 'Shared Read Blocks'?: number;
  readonly Plans?: readonly Node[];
}

const SETTINGS = {
  session_preload_libraries: 'auto_explain',
  'auto_explain.log_min_duration': '0',
  'auto_explain.log_analyze': 'on',
  'auto_explain.log_buffers': 'on',
  'auto_explain.log_timing': 'off',
  'auto_explain.log_format': 'json',
};
const RECORD = /plan:\n((?:\t.*\n)+)/g;

/** Lets PostgreSQL log the plan of every statement, in new sessions of a database. */
export async function explainFromNow(databaseUrl: string): Promise<() => Promise<void>> {
  const session = new pg.Client({ connectionString: databaseUrl });
  await session.connect();
  const database = session.escapeIdentifier(new URL(databaseUrl).pathname.slice(1));
  for (const [name, value] of Object.entries(SETTINGS)) {
    await session.query(`ALTER DATABASE ${database} SET ${name} = '${value}'`);
  }
  return async () => {
    await session.query(`ALTER DATABASE ${database} RESET ALL`);
    await session.end();
  };
}

/** Reads the statements that PostgreSQL's log has gained since the last call. */
export class PlanLog {
  private readonly path: string;
  private offset: number;

  constructor(path: string) {
    this.path = path;
    this.offset = 0;
    this.news();
  }

  take(): Executed[] {
    return Array.from(this.news().matchAll(RECORD), ([, json]) => {
      const { 'Query Text': text, Plan: plan } = JSON.parse(json!) as { 'Query Text': string; Plan: Node };
      return { text, pages: pagesOf(plan), scanned: nodesOf(plan).flatMap(scannedBy) };
    });
  }

  private news(): string {
    const file = openSync(this.path, 'r');
    try {
      const bytes = Buffer.alloc(fstatSync(file).size - this.offset);
      this.offset += readSync(file, bytes, 0, bytes.length, this.offset);
      return bytes.toString();
    } finally {
      closeSync(file);
    }
  }
}

const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

/** A node's pages include its children's, except those of an INSERT that nothing reads from. */
function pagesOf(root: Node): number {
  const own = ({ 'Shared Hit Blocks': hit = 0, 'Shared Read Blocks': read = 0 }: Node): number => hit + read;
  const alone = (node: Node): number => own(node) - (node.Plans ?? []).reduce((sum, child) => sum + own(child), 0);
  return nodesOf(root).reduce((sum, node) => sum + Math.max(0, alone(node)), 0);
}

function scannedBy(node: Node): Executed['scanned'] {
  const { 'Relation Name': table, 'Actual Rows': rows = 0, 'Actual Loops': loops = 0 } = node;
  if (node['Node Type'] !== 'Seq Scan' || table === undefined) return [];
  return [{ table, rows: (rows + (node['Rows Removed by Filter'] ?? 0)) * loops }];
}
