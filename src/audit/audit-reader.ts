import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Brackets, Repository } from 'typeorm';
import { AuthorizedContext } from '../identity/request-context.js';
import { UUID } from '../contract/id.param.js';
import { keyOfCursor, type Page, pageOf } from '../contract/page.js';
import { Problem } from '../problems/problem.js';
import { AuditEventEntity } from './audit-event.entity.js';
import { AuditService } from './audit.service.js';
import type { ListEventsQuery } from './dto/list-events.query.js';

export type OcsfEvent = Record<string, unknown>;

/** Reads the log, newest first. Reading it is recorded too (PCI DSS 10.2.1.3), before the answer. */
@Injectable()
export class AuditReader {
  constructor(
    @InjectRepository(AuditEventEntity) private readonly events: Repository<AuditEventEntity>,
    private readonly audit: AuditService,
  ) {}

  async list(context: AuthorizedContext, query: ListEventsQuery): Promise<Page<OcsfEvent>> {
    const { limit, cursor, from, to, credentialId, ...columns } = query;
    const before = keyOfCursor(cursor);
    const select = this.visible(context)
      .orderBy('e.id', 'DESC')
      .take(limit + 1);
    if (before) select.andWhere('e.id < :before', { before });
    if (from) select.andWhere('e.id >= :from', { from: firstIdAt(from) });
    if (to) select.andWhere('e.id < :to', { to: firstIdAt(to) });
    if (credentialId) {
      const column = UUID.test(credentialId) ? 'e.credentialUid' : 'e.credentialId';
      select.andWhere(`${column} = :credentialId`, { credentialId });
    }
    for (const [column, value] of Object.entries(columns) as [string, string | undefined][]) {
      if (value !== undefined) select.andWhere(`e.${column} = :${column}`, { [column]: value });
    }
    const rows = await select.getMany();
    await this.audit.record(context, { type: 'audit.read', outcome: 'success', facts: { filter: query } });
    return pageOf(rows, limit, (row) => row.id, eventOf);
  }

  /** @throws Problem event-unknown */
  async get(context: AuthorizedContext, id: string): Promise<OcsfEvent> {
    const row = await this.visible(context).andWhere('e.id = :id', { id }).getOne();
    await this.audit.record(context, {
      type: 'audit.read',
      outcome: row ? 'success' : 'failure',
      facts: { event: id },
    });
    if (!row) throw new Problem('event-unknown');
    return eventOf(row);
  }

  private visible(context: AuthorizedContext): ReturnType<Repository<AuditEventEntity>['createQueryBuilder']> {
    const select = this.events.createQueryBuilder('e').where('TRUE');
    const { relyingParties } = context;
    if (relyingParties === null) return select;
    return select.andWhere(new Brackets((where) => where.where('e.rpId IN (:...relyingParties)', { relyingParties })));
  }
}

function eventOf(row: AuditEventEntity): OcsfEvent {
  return JSON.parse(row.event) as OcsfEvent;
}

/** The smallest UUIDv7 of a time (RFC 9562 §5.7): ids begin with the milliseconds, so a range of time is one of keys. */
function firstIdAt(time: string): string {
  const hex = Math.max(0, Date.parse(time)).toString(16).padStart(12, '0').slice(-12);
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
