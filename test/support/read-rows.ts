import { AbstractLogger, type DataSource } from 'typeorm';

interface Statement {
  readonly text: string;
  readonly parameters: unknown[];
}

interface Plan {
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: Plan[];
}

/** Notes the statements that TypeORM runs, and counts the rows that they read. */
export class ReadRows extends AbstractLogger {
  statements: Statement[] = [];

  /** @param tables the tables whose rows are counted */
  constructor(
    private readonly dataSource: DataSource,
    private readonly tables: RegExp,
  ) {
    super(['query']);
    dataSource.setOptions({ logging: ['query'] });
    dataSource.logger = this;
  }

  protected override writeLog(): void {
    return;
  }

  /** @param query of a named statement, TypeORM passes on what it was given */
  override logQuery(query: string | { text: string }, parameters: unknown[] = []): void {
    this.statements.push({ text: typeof query === 'string' ? query : query.text, parameters });
  }

  /** Counts the rows that the statements so far have read, whether or not they kept them, by running them again. */
  async count(): Promise<number> {
    let rows = 0;
    const add = (plan: Plan): void => {
      if (this.tables.test(plan['Relation Name'] ?? '')) {
        rows += (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'];
      }
      plan.Plans?.forEach(add);
    };
    const session = this.dataSource.createQueryRunner();
    for (const { text, parameters } of this.statements.slice()) {
      // Statements are planned as in the service: in the same transaction, with the same settings.
      if (!/^(SELECT|WITH)\b/.test(text)) await session.query(text, parameters);
      else {
        const explain = `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`;
        const [row] = (await session.query(explain, parameters)) as { 'QUERY PLAN': [{ Plan: Plan }] }[];
        add(row!['QUERY PLAN'][0].Plan);
      }
    }
    await session.release();
    return rows;
  }
}
