import type { QueryRunner } from 'typeorm';

interface Owner {
  sql(text: string): Promise<object[]>;
}

/** Runs the statements of a migration as the owner of the database, without a transaction. */
export class OwnerRunner implements Pick<QueryRunner, 'query'> {
  constructor(private readonly owner: Owner) {}

  get runner(): QueryRunner {
    return this as Pick<QueryRunner, 'query'> as QueryRunner;
  }

  query<T>(text: string): Promise<T> {
    return this.owner.sql(text) as Promise<T>;
  }
}
