import { Inject, Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Brackets, type EntityManager, In, Repository, type SelectQueryBuilder } from 'typeorm';
import { AuthorizedContext } from '../http/request-context.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { SECRET_KEYS, type SecretKeys } from '../config/secret-keys.js';
import { UUID } from '../http/validators.js';
import { decodeCursor, type Page, toPage } from '../http/page.js';
import { Problem } from '../http/problem.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { AuditService } from '../audit/audit.service.js';
import { UserSeals } from '../audit/user-seals.js';
import type { ListEventsQuery } from './dto/list-events.query.js';
import { equalsSql, parseIdTime, toFirstId, typeEqualsSql } from '../audit/audit-event.repository.js';
import { LogRepository } from './log.repository.js';
import { deriveStandIn, findUserIds, listPseudonyms, type Pseudonym } from '../audit/pseudonyms.js';

export type OcsfEvent = Record<string, unknown>;

type Select = SelectQueryBuilder<AuditEventEntity>;

/** How far the clock of another replica may be ahead. */
const CLOCK_SKEW_MS = 600_000;

/** Reads events, newest first. Each read is itself recorded before it is answered (PCI DSS 10.2.1.3). */
@Injectable()
export class AuditReader {
  constructor(
    @InjectRepository(AuditEventEntity) private readonly events: Repository<AuditEventEntity>,
    private readonly audit: AuditService,
    private readonly storage: LogRepository,
    @Inject(SECRET_KEYS) private readonly keys: SecretKeys,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly users: UserSeals,
  ) {}

  async list(context: AuthorizedContext, query: ListEventsQuery): Promise<Page<OcsfEvent>> {
    const { limit, cursor, from, to, outcome, credentialId, userId, ...columns } = query;
    const before = decodeCursor(cursor);
    const select = this.events
      .createQueryBuilder('e')
      .where('TRUE')
      .orderBy('e.id', 'DESC')
      .take(limit + 1);
    if (before) select.andWhere('e.id < :before', { before });
    if (from) select.andWhere('e.id >= :from', { from: toFirstId(Date.parse(from)) });
    if (to) select.andWhere('e.id < :to', { to: toFirstId(Date.parse(to)) });
    if (outcome) select.andWhere('e.outcome = :outcome', { outcome });
    if (credentialId) select.andWhere(credentialSql(credentialId), { credentialId });
    for (const [column, value] of Object.entries(columns) as [string, string | undefined][]) {
      const sql = column === 'type' ? typeEqualsSql : equalsSql;
      if (value !== undefined) select.andWhere(sql(`e.${column}`, `:${column}`), { [column]: value });
    }
    const rows =
      userId === undefined
        ? await this.findNewest(select, context)
        : await this.findNewestByNames(await this.listNames(context, userId, { from, to }), select, context);
    await this.audit.record(context, {
      type: 'audit.read',
      outcome: 'success',
      facts: { filter: this.redactFilter(query) },
    });
    const show = await this.createRenderer(rows);
    const page = toPage(rows, limit, (row) => row.id, show);
    return { ...page, data: page.data.filter((event) => event !== undefined) };
  }

  /** @throws Problem event-unknown */
  async get(context: AuthorizedContext, id: string): Promise<OcsfEvent> {
    const row = await this.selectVisible(context).andWhere('e.id = :id', { id }).getOne();
    const event = row && (await this.createRenderer([row]))(row);
    await this.audit.record(context, {
      type: 'audit.read',
      outcome: event ? 'success' : 'failure',
      facts: { event: id },
    });
    if (!event) throw new Problem('event-unknown');
    return event;
  }

  /**
   * Renders events as they were recorded, with their leaf indexes, and with the user ids that callers know. A row whose text
   * is no event of this id gives undefined: somebody inserted it who is not the service.
   */
  private async createRenderer(
    rows: readonly AuditEventEntity[],
  ): Promise<(row: AuditEventEntity) => OcsfEvent | undefined> {
    const [leaves, users] = await Promise.all([
      this.storage.findLeafIndexes(rows.map(({ id }) => id)),
      findUserIds(
        this.events.manager,
        rows.map((row) => row.userId),
        this.users,
      ),
    ]);
    return (row) => renderEvent(row, leaves.get(row.id), row.userId === null ? undefined : users.get(row.userId));
  }

  /** @throws Problem event-unknown */
  async demandVisible(context: AuthorizedContext, id: string): Promise<void> {
    if (!(await this.selectVisible(context).andWhere('e.id = :id', { id }).getExists()))
      throw new Problem('event-unknown');
  }

  /** Replaces the user id in the recorded filter by a stand-in, because no erasure could remove the id from the log. */
  private redactFilter({ userId, ...query }: ListEventsQuery): Record<string, unknown> {
    return userId === undefined ? query : { ...query, userId: deriveStandIn({ userId }, this.clock.now(), this.keys) };
  }

  private async listNames(
    { relyingParties }: AuthorizedContext,
    userId: string,
    { from = '', to = '' }: { from: string | undefined; to: string | undefined },
  ): Promise<Pseudonym[]> {
    const oldest = await this.events.createQueryBuilder('e').select('e.id').orderBy('e.id').limit(1).getOne();
    const latest = this.clock.now().getTime() + CLOCK_SKEW_MS;
    const period = {
      from: Math.max(oldest ? parseIdTime(oldest.id) : latest, Date.parse(from) || 0),
      to: Math.min(latest, Date.parse(to) || latest),
    };
    return listPseudonyms(this.events.manager, { userId, relyingParties }, period, this.keys, this.users);
  }

  /**
   * Finds the events under all pseudonyms of a user in one statement. Each pseudonym is a range of an index that has
   * the order of the page.
   */
  private async findNewestByNames(
    names: readonly Pseudonym[],
    select: Select,
    { relyingParties }: AuthorizedContext,
  ): Promise<AuditEventEntity[]> {
    const range = select.clone().select('e.id', 'id');
    range.andWhere(`${equalsSql('e.userId', 'named.uid')} AND e.id >= named.since AND e.id < named.until`);
    if (relyingParties !== null) range.andWhere('e.rpId IN (:...relyingParties)', { relyingParties });
    const [text, filters] = range.getQueryAndParameters() as [string, unknown[]];
    const columns = [names.map(({ uid }) => uid), names.map(({ since }) => since), names.map(({ until }) => until)];
    const [uid, since, until] = columns.map((_, index) => `$${String(filters.length + index + 1)}`);
    return this.readInOrder(async (manager) => {
      const page = await manager.query<{ id: string }[]>(
        `SELECT page.id FROM unnest(${uid!}::text[], ${since!}::uuid[], ${until!}::uuid[]) AS named (uid, since, until)
           CROSS JOIN LATERAL (${text}) AS page
          ORDER BY page.id DESC LIMIT ${String(select.expressionMap.take)}`,
        [...filters, ...columns],
      );
      return manager.find(AuditEventEntity, { where: { id: In(page.map(({ id }) => id)) }, order: { id: 'DESC' } });
    });
  }

  /**
   * Reads the relying parties of a limited caller one after another. Each is a range of an index that has the order of
   * the page; for several at once, PostgreSQL would read and sort all events. In parallel, one request would take every
   * connection.
   */
  private async findNewest(select: Select, { relyingParties }: AuthorizedContext): Promise<AuditEventEntity[]> {
    const { take } = select.expressionMap;
    const ranges = relyingParties?.map((rpId) => select.clone().andWhere(equalsSql('e.rpId', ':rpId'), { rpId }));
    const found: AuditEventEntity[] = [];
    await this.readInOrder(async ({ queryRunner }) => {
      for (const range of ranges ?? [select]) found.push(...(await range.setQueryRunner(queryRunner!).getMany()));
    });
    return found.sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, take);
  }

  /** Reads by indexes that have the order of the page. PostgreSQL may expect few events, and would read and sort all. */
  private readInOrder<T>(read: (manager: EntityManager) => Promise<T>): Promise<T> {
    return this.events.manager.transaction(async (manager) => {
      await manager.query('SET LOCAL enable_sort = off');
      return read(manager);
    });
  }

  private selectVisible(context: AuthorizedContext): Select {
    const select = this.events.createQueryBuilder('e').where('TRUE');
    const { relyingParties } = context;
    if (relyingParties === null) return select;
    return select.andWhere(new Brackets((where) => where.where('e.rpId IN (:...relyingParties)', { relyingParties })));
  }
}

/** SQL: true if an event is about the credential of this id, which is the service's or the authenticator's. */
function credentialSql(id: string): string {
  return UUID.test(id)
    ? equalsSql('e.credentialUid', ':credentialId', 'uuid_hash_extended')
    : equalsSql('e.credentialId', ':credentialId');
}

/**
 * Replaces the user's pseudonym in the members `uid` and `user_uid` by the user id. The pseudonym, which the record and
 * its proof hold, goes into `user.uid_alt`; into `unmapped.user` if the class of the event has no user.
 */
function renderEvent(
  { id, event, userId: uid }: AuditEventEntity,
  leaf: number | undefined,
  userId?: string,
): OcsfEvent | undefined {
  const named = new Set<string>();
  const withUserId = (name: string, value: unknown): unknown => {
    if (value !== uid || (name !== 'uid' && name !== 'user_uid')) return value;
    named.add(name);
    return userId;
  };
  const parsed = parseEvent(event, userId === undefined ? undefined : withUserId);
  if (parsed?.metadata?.uid !== id) return undefined;
  const { metadata, user, unmapped, ...members } = parsed;
  const names = userId === undefined ? undefined : { uid: userId, uid_alt: uid };
  return {
    ...members,
    metadata: leaf === undefined ? metadata : { ...metadata, sequence: leaf },
    ...(unmapped && { unmapped: names && named.size > 0 && !user ? { ...unmapped, user: names } : unmapped }),
    ...(user && { user: { ...user, ...names } }),
  };
}

interface Parsed extends OcsfEvent {
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly user?: object;
  readonly unmapped?: object;
}

/** @returns null or undefined if the text is no JSON object */
function parseEvent(text: string, revive?: (name: string, value: unknown) => unknown): Parsed | null | undefined {
  try {
    return JSON.parse(text, revive) as Parsed | null;
  } catch {
    return undefined;
  }
}
