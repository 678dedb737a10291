import { PasskeyProblem } from '../../clients/typescript/src/client.ts';
import { EXIT, type ExitCode, UsageError } from '../command-line.js';
import { explainApproval } from './approvals.js';
import { type Command, defineServiceCommand, demand, REASON, RP, type Session } from './command.js';
import { CREDENTIAL_COLUMNS, listCredentials } from './credentials.js';
import type { Printer } from './printer.js';

const USER = { USER: 'The id of the user, as auth-service gives it.' };

/**
 * The handle that authenticators keep. The service tells none while a record of the user fails its integrity check.
 *
 * @throws PasskeyProblem if the service knows no such user
 */
async function findUserHandle(
  { client, printer }: Session,
  userId: string,
  rpId: string,
  isKnown: boolean,
): Promise<string | null> {
  try {
    return (await client.getUserSignals(userId, rpId)).allAcceptedCredentials.userId;
  } catch (error) {
    if (!isKnown || !(error instanceof PasskeyProblem)) throw error;
    printer.note(`The user handle is not known: ${error.message}`);
    return null;
  }
}

const show = defineServiceCommand(
  ['users', 'show'],
  {
    usage: ['USER --rp RPID'],
    about: 'Shows a user of a relying party with every passkey, also those that are revoked.',
    needs: 'passkeys:read',
    operands: USER,
    options: { rp: RP },
    examples: ['ada --rp login.example.com', 'ada --rp login.example.com -o json'],
  },
  async ({ operands: [user], values }, session) => {
    const { client, printer, signal } = session;
    const [userId, rpId] = [demand('a USER', user), demand('--rp', values.rp)];
    const { credentials } = await listCredentials(client, { userId, rpId }, Infinity, signal);
    const userHandle = await findUserHandle(session, userId, rpId, credentials.length > 0);
    const count = (status: string): number => credentials.filter((each) => each.status === status).length;
    printer.showRecord(
      { userId, rpId, userHandle, credentials },
      {
        user: userId,
        'relying party': rpId,
        'user handle': userHandle,
        passkeys: `${String(count('active'))} active, ${String(count('suspended'))} suspended, ${String(count('revoked'))} revoked`,
      },
    );
    if (!printer.isJson && credentials.length > 0) {
      printer.write('');
      printer.showTable(credentials, CREDENTIAL_COLUMNS);
    }
    for (const { id } of credentials.filter(({ status }) => status === 'suspended'))
      printer.note(
        `${id} is suspended. Who did it: passkey-manager audit list --credential ${id} --type credential.suspend (with audit:read). To end it: passkey-manager credentials reinstate ${id} --reason TEXT (with passkeys:manage).`,
      );
    return EXIT.done;
  },
);

const revoke = defineServiceCommand(
  ['users', 'revoke'],
  {
    usage: ['USER --rp RPID --reason TEXT'],
    about: 'Revokes every passkey of a user for good, and ends the registrations that have begun.',
    needs: 'passkeys:manage',
    operands: USER,
    options: { rp: RP, reason: REASON },
    examples: ['ada --rp login.example.com --reason "the account is closed"'],
  },
  async ({ operands: [user], values }, { client, printer }) => {
    const [userId, rpId] = [demand('a USER', user), demand('--rp', values.rp)];
    const answer = await client.revokeUser(userId, rpId, demand('a --reason', values.reason));
    printer.showRecord(answer, { revoked: `${String(answer.revoked)} passkeys of ${userId}` });
    return EXIT.done;
  },
);

const erase = defineServiceCommand(
  ['users', 'erase'],
  {
    usage: ['USER --rp RPID --yes'],
    about:
      'Erases a user with every passkey. Nothing brings them back. The access policy may ask for the approval of a second identity.',
    needs: 'passkeys:erase',
    operands: USER,
    options: { rp: RP, yes: { text: 'Says that you mean it. Without it nothing is erased.' } },
    examples: ['ada --rp login.example.com --yes'],
    exitCodes: { [EXIT.waitsForApproval]: 'A second identity must approve it first. Nothing is erased yet.' },
  },
  async ({ operands: [user], values }, { client, printer }) => {
    const [userId, rpId] = [demand('a USER', user), demand('--rp', values.rp)];
    if (!values.yes)
      throw new UsageError(`Nothing brings back an erased user. Give --yes to erase ${userId} at ${rpId}.`);
    const approval = await client.eraseUser(userId, rpId);
    return approval ? explainApproval(printer, approval) : reportErasure(printer, userId, rpId);
  },
);

function reportErasure(printer: Printer, userId: string, rpId: string): ExitCode {
  printer.showRecord({ userId, rpId, erased: true }, { erased: userId, 'relying party': rpId });
  return EXIT.done;
}

export const USERS: readonly Command[] = [show, revoke, erase];
