import { AUDIT_ROW_WIDTH } from '../../src/audit/audit-event.repository.js';
import { ISSUE_AUTHENTICATION, ISSUE_REGISTRATION } from '../../src/challenges/challenge.repository.js';
import { RECORD_LIMIT } from '../../src/challenges/user-limits.repository.js';
import { ACCEPT_AUTHENTICATION, REDEEM } from '../../src/credentials/answer.repository.js';

interface CeremonyStatement {
  readonly statement: { readonly name: string; readonly text: string };
  /** The number of parameters. */
  readonly parameters: number;
  /** The file that builds the statement. */
  readonly source: string;
  /** Says what the statement does, for the header of docs/sql. */
  readonly does: string;
}

/** The statements of the ceremonies. The cost of their plans must not grow with the tables. */
export const CEREMONY_STATEMENTS: readonly CeremonyStatement[] = [
  {
    statement: ISSUE_AUTHENTICATION,
    parameters: ISSUE_AUTHENTICATION.parameters,
    source: 'src/challenges/challenge.repository.ts',
    does:
      'Issues challenges for authentications: checks the limits of each user, stores the challenge and its audit event, ' +
      'and returns the policy and the descriptors for the options. It commits asynchronously.',
  },
  {
    statement: ISSUE_REGISTRATION,
    parameters: 14 + AUDIT_ROW_WIDTH,
    source: 'src/challenges/challenge.repository.ts',
    does:
      'Issues a challenge for a registration: checks the limit of the user, makes or finds the user handle, and stores ' +
      'the challenge and its audit event. It commits asynchronously.',
  },
  {
    statement: RECORD_LIMIT,
    parameters: AUDIT_ROW_WIDTH + 2,
    source: 'src/challenges/user-limits.repository.ts',
    does:
      'Records that a user is over a limit, unless an event within the last minute says so for the same user and ' +
      'ceremony.',
  },
  {
    statement: REDEEM,
    parameters: REDEEM.parameters,
    source: 'src/credentials/answer.repository.ts',
    does:
      'Deletes challenges and returns each with what its answer is checked against: the relying party, the credential ' +
      'that the answer names and the handle of its user. It commits asynchronously.',
  },
  {
    statement: ACCEPT_AUTHENTICATION,
    parameters: ACCEPT_AUTHENTICATION.parameters,
    source: 'src/credentials/answer.repository.ts',
    does:
      'Accepts authentications: compares and sets the sign count of each credential, and writes the audit event if and ' +
      'only if that succeeded.',
  },
];
