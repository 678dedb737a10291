import { AUDIT_ROW_WIDTH } from '../../src/audit/audit-row.js';
import { ISSUE_AUTHENTICATION, ISSUE_REGISTRATION } from '../../src/challenges/challenge.repository.js';
import { RECORD_LIMIT } from '../../src/challenges/user-limits.repository.js';
import { ACCEPT_AUTHENTICATION, REDEEM } from '../../src/credentials/answer.repository.js';

/** The statements whose plans must not grow with the tables, and the number of parameters of each. */
export const CEREMONY_STATEMENTS = [
  { statement: ISSUE_AUTHENTICATION, parameters: ISSUE_AUTHENTICATION.parameters },
  { statement: ISSUE_REGISTRATION, parameters: 14 + AUDIT_ROW_WIDTH },
  { statement: RECORD_LIMIT, parameters: AUDIT_ROW_WIDTH + 2 },
  { statement: REDEEM, parameters: REDEEM.parameters },
  { statement: ACCEPT_AUTHENTICATION, parameters: ACCEPT_AUTHENTICATION.parameters },
];
