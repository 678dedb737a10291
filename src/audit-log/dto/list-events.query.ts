import { IsIn } from 'class-validator';
import { HasForm, IsText, IsTimestamp, Optional } from '../../http/validators.js';
import { CURSOR, CURSOR_WORDS, PageLimit } from '../../http/page.js';
import { AUDIT_EVENTS } from '../../audit/audit-entry.js';

export class ListEventsQuery {
  @Optional()
  @IsTimestamp()
  from?: string;

  @Optional()
  @IsTimestamp()
  to?: string;

  @Optional()
  @IsIn(Object.keys(AUDIT_EVENTS))
  type?: string;

  @Optional()
  @IsText(1, 2_048)
  actor?: string;

  @Optional()
  @IsText(1, 256)
  userId?: string;

  /** A credential's `id` or its `credentialId`. */
  @Optional()
  @HasForm(/^[A-Za-z0-9_-]{1,1364}$/, 'the id or the credentialId of a credential')
  credentialId?: string;

  @Optional()
  @IsIn(['success', 'failure'])
  outcome?: string;

  @PageLimit()
  limit = 50;

  @Optional()
  @HasForm(CURSOR, CURSOR_WORDS)
  cursor?: string;
}
