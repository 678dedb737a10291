import { AUDIT_ROW_WIDTH } from '../../src/audit/audit-event.repository.js';
import { READ_FOR_AUTHENTICATION, READ_FOR_REGISTRATION } from '../../src/challenges/challenge.repository.js';
import { RECORD_LIMIT } from '../../src/challenges/user-limits.repository.js';
import { ACCEPT_AUTHENTICATION, ACCEPT_REGISTRATION, ACCEPT_SUSPECT } from '../../src/credentials/answer.repository.js';
import { REFUSE, REFUSE_SUSPECT } from '../../src/credentials/refused-answer.repository.js';
import { LOAD } from '../../src/credentials/loaded-answer.repository.js';
import { WRITE_SIGNALS } from '../../src/signals/outbox.repository.js';

interface CeremonyStatement {
  readonly statement: { readonly name: string; readonly text: string };
  /** The number of parameters. */
  readonly parameters: number;
  /** The file that builds the statement. */
  readonly source: string;
  /** Says what the statement does, for the header of docs/sql. */
  readonly does: string;
}

/** The statements of the ceremonies, and that of their signals where a transaction writes them. The cost of their plans must not grow with the tables. */
export const CEREMONY_STATEMENTS: readonly CeremonyStatement[] = [
  {
    statement: READ_FOR_AUTHENTICATION,
    parameters: READ_FOR_AUTHENTICATION.parameters,
    source: 'src/challenges/challenge.repository.ts',
    does:
      'Reads what the options of authentications need: the policy, the descriptors of the user’s credentials, and the ' +
      'last of the refusals that block the user.',
  },
  {
    statement: READ_FOR_REGISTRATION,
    parameters: READ_FOR_REGISTRATION.parameters,
    source: 'src/challenges/challenge.repository.ts',
    does:
      'Reads what the options of registrations need: the policy, the descriptors of the user’s credentials, and the ' +
      'user handle. A new user gets one. It commits asynchronously.',
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
    statement: LOAD,
    parameters: LOAD.parameters,
    source: 'src/credentials/loaded-answer.repository.ts',
    does:
      'Reads what answers are checked against: the relying party, the credential that the answer names and the handle ' +
      'of its user.',
  },
  {
    statement: ACCEPT_AUTHENTICATION,
    parameters: ACCEPT_AUTHENTICATION.parameters,
    source: 'src/credentials/answer.repository.ts',
    does:
      'Accepts authentications: spends each challenge, compares and sets the sign count of the credential, and writes ' +
      'the audit event. It does all of that or nothing.',
  },
  {
    statement: ACCEPT_REGISTRATION,
    parameters: ACCEPT_REGISTRATION.parameters,
    source: 'src/credentials/answer.repository.ts',
    does:
      'Accepts registrations: locks each user, spends the challenge, stores the credential if the user may have one ' +
      'more, and writes the audit event, and the signals of streams, if and only if it stored the credential.',
  },
  {
    statement: REFUSE,
    parameters: REFUSE.parameters,
    source: 'src/credentials/refused-answer.repository.ts',
    does: 'Refuses answers: spends each challenge, and writes the audit event if and only if nobody had spent it.',
  },
  {
    statement: ACCEPT_SUSPECT,
    parameters: ACCEPT_SUSPECT.parameters,
    source: 'src/credentials/answer.repository.ts',
    does:
      'Accepts authentications that suggest a clone, where the policy flags them: as authentication-accept, and writes ' +
      'the signals of streams, if and only if it accepted.',
  },
  {
    statement: REFUSE_SUSPECT,
    parameters: REFUSE_SUSPECT.parameters,
    source: 'src/credentials/refused-answer.repository.ts',
    does:
      'Refuses answers that suggest a clone: as answer-refuse, and writes the signals of streams, if and only if nobody ' +
      'had spent the challenge.',
  },
  {
    statement: WRITE_SIGNALS,
    parameters: 1,
    source: 'src/signals/outbox.repository.ts',
    does: 'Writes the signals of changes that a transaction makes, such as of a passkey that is renamed or revoked.',
  },
];
