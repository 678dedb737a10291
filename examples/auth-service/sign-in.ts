import type { PasskeyManager, Schemas } from '@passkey-manager/client';
import type { Account, Accounts } from './accounts.ts';
import { type Exchange, type Routes, readText } from './http.ts';
import type { PasswordAttempts } from './password-attempts.ts';
import { Refusal } from './refusal.ts';
import type { Session, Sessions } from './sessions.ts';
import { formerRpId, rpId } from './settings.ts';

const PURPOSE = 'sign-in';

/** Routes for sign-up and sign-in, by password and by passkey. */
export function createSignInRoutes(
  passkeys: PasskeyManager,
  accounts: Accounts,
  sessions: Sessions,
  attempts: PasswordAttempts,
): Routes {
  function beginSession(
    { session, response }: Exchange,
    account: Account,
    method: 'password' | 'passkey',
    mustMove = false,
    passkeyId?: string,
  ) {
    const signIn = { accountId: account.id, method, at: new Date(), mustMove, passkeyId };
    return describeUser(sessions.renew(session, response, signIn), account);
  }

  return {
    'GET /api/session': ({ session }) =>
      describeUser(session, session.signIn && accounts.findById(session.signIn.accountId)),

    'POST /api/sign-up': async (exchange) => {
      const [email, name, password] = [
        readEmail(exchange),
        readText(exchange.body, 'name', 1, 100),
        readPassword(exchange),
      ];
      const account = await accounts.signUp(email, name, password);
      if (!account) throw new Refusal(409, 'email-taken');
      return beginSession(exchange, account, 'password');
    },

    'POST /api/sign-in/password': async (exchange) => {
      const [email, password] = [readEmail(exchange), readPassword(exchange)];
      const account = await attempts.count(email, () => accounts.signIn(email, password));
      if (!account) throw new Refusal(401, 'password-wrong');
      return beginSession(exchange, account, 'password');
    },

    'POST /api/sign-in/passkey/challenge': async ({ session, response, body }) => {
      const asked = body['former'] === true && formerRpId ? formerRpId : rpId;
      const challenge = await passkeys.issueAuthenticationChallenge({ rpId: asked, purpose: PURPOSE });
      sessions.addChallenge(session, response, challenge.challengeId);
      return challenge;
    },

    'POST /api/sign-in/passkey': async (exchange) => {
      const challengeId = readText(exchange.body, 'challengeId', 1, 4_096);
      if (!exchange.session.challenges.delete(challengeId)) throw new Refusal(409, 'challenge-spent');
      const response = exchange.body['response'] as Schemas['AuthenticationResponseJSON'];
      const verified = await passkeys.verifyAuthentication({ challengeId, purpose: PURPOSE, response });
      const { userId, migration, credential } = verified;
      const account = accounts.findById(userId);
      if (!account) throw new Refusal(404, 'account-gone');
      // The user is there, is verified, and holds the device that is to get the new passkey. `null` is no reason to ask.
      const mustMove = migration?.successor === rpId && migration.hasPasskey === false;
      return beginSession(exchange, account, 'passkey', mustMove, credential.id);
    },

    'POST /api/sign-out': ({ session, response }) => describeUser(sessions.renew(session, response, undefined)),
  };
}

function describeUser({ signIn }: Session, account?: Account) {
  if (!signIn || !account) return { user: null, formerRpId };
  const { method, at, mustMove } = signIn;
  const user = { email: account.email, name: account.name };
  return { user, formerRpId, signIn: { method, at, ...(mustMove && { moveTo: rpId }) } };
}

function readEmail({ body }: Exchange): string {
  const email = readText(body, 'email', 3, 200).trim().toLowerCase();
  if (!/^[^\s@]+@[^\s@]+$/.test(email)) throw new Refusal(400, 'email-malformed');
  return email;
}

function readPassword({ body }: Exchange): string {
  return readText(body, 'password', 8, 128);
}
