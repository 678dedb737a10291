import { IsIn } from 'class-validator';
import { CURSOR, CURSOR_WORDS, PageLimit } from '../../http/page.js';
import { HasForm, Optional } from '../../http/validators.js';
import { APPROVAL_STATUSES, type ApprovalStatus } from '../approval.entity.js';

export class ListApprovalsQuery {
  @Optional()
  @IsIn(APPROVAL_STATUSES)
  status?: ApprovalStatus;

  @PageLimit()
  limit = 50;

  @Optional()
  @HasForm(CURSOR, CURSOR_WORDS)
  cursor?: string;
}
