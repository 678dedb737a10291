import type { PasskeyManager, Schemas } from '@passkey-manager/client';
import type { Account, Accounts } from './accounts.ts';
import { type Exchange, type Routes, readText } from './http.ts';
import { Refusal } from './refusal.ts';
import type { PasskeyNames } from './passkey-names.ts';
import type { Sessions, SignIn } from './sessions.ts';
import { rpId } from './settings.ts';

/** Routes for the passkeys of the signed-in user. */
export function createPasskeyRoutes(
  passkeys: PasskeyManager,
  accounts: Accounts,
  sessions: Sessions,
  names: PasskeyNames,
): Routes {
  function requireSignIn({ session: { signIn } }: Exchange): SignIn & { account: Account } {
    const account = signIn && accounts.findById(signIn.accountId);
    if (!account) throw new Refusal(401, 'signed-out');
    return { ...signIn, account };
  }

  /** Auth-service may manage every user's passkeys, so it must check that this one belongs to the signed-in user. */
  async function requireOwnPasskey(exchange: Exchange): Promise<string> {
    const { account } = requireSignIn(exchange);
    const credential = await passkeys.getCredential(exchange.id);
    if (credential.userId !== account.id || credential.rpId !== rpId) throw new Refusal(404, 'credential-unknown');
    return credential.id;
  }

  return {
    'GET /api/passkeys': async (exchange) => {
      const { data } = await passkeys.listCredentials({ rpId, userId: requireSignIn(exchange).account.id, limit: 200 });
      return { passkeys: data.map(selectShownMembers) };
    },

    'POST /api/passkeys/challenge': async (exchange) => {
      const { account, method, at } = requireSignIn(exchange);
      const challenge = await passkeys.issueRegistrationChallenge({
        rpId,
        user: { id: account.id, name: account.email, displayName: account.name },
        identityProof: { method, verifiedAt: at.toISOString(), reference: exchange.session.reference },
        ...(exchange.body['forPayments'] === true && { payment: true }),
      });
      sessions.addChallenge(exchange.session, exchange.response, challenge.challengeId);
      return challenge;
    },

    'POST /api/passkeys': async (exchange) => {
      const { account } = requireSignIn(exchange);
      const [challengeId, name] = [
        readText(exchange.body, 'challengeId', 1, 4_096),
        readText(exchange.body, 'name', 1, 64),
      ];
      if (!exchange.session.challenges.delete(challengeId)) throw new Refusal(409, 'challenge-spent');
      const response = exchange.body['response'] as Schemas['RegistrationResponseJSON'];
      const credential = await passkeys.registerCredential({ challengeId, response, name });
      if (credential.userId !== account.id || credential.rpId !== rpId) {
        await passkeys.revokeCredential(
          credential.id,
          'the passkey was registered for a user other than the signed-in one',
        );
        throw new Refusal(409, 'passkey-of-another');
      }
      names.note(credential.id, credential.name);
      return selectShownMembers(credential);
    },

    'POST /api/passkeys/:id/name': async (exchange) => {
      const name = readText(exchange.body, 'name', 1, 64);
      const renamed = await passkeys.renameCredential(await requireOwnPasskey(exchange), name);
      names.note(renamed.id, renamed.name);
      return selectShownMembers(renamed);
    },

    'POST /api/passkeys/:id/suspend': async (exchange) =>
      selectShownMembers(
        await passkeys.suspendCredential(
          await requireOwnPasskey(exchange),
          'the user suspended the passkey on the account page',
        ),
      ),

    'POST /api/passkeys/:id/reinstate': async (exchange) =>
      selectShownMembers(
        await passkeys.reinstateCredential(
          await requireOwnPasskey(exchange),
          'the user reinstated the passkey on the account page',
        ),
      ),

    'POST /api/passkeys/:id/revoke': async (exchange) => {
      const id = await requireOwnPasskey(exchange);
      sessions.detach(exchange.session, id);
      return selectShownMembers(
        await passkeys.revokeCredential(id, 'the user revoked the passkey on the account page'),
      );
    },

    'GET /api/signals': (exchange) => passkeys.getUserSignals(requireSignIn(exchange).account.id, rpId),
  };
}

/** Picks the members that the page shows. */
function selectShownMembers(credential: Schemas['Credential']) {
  const { id, name, status, authenticator, attachment, transports, algorithm, backedUp } = credential;
  const { createdAt, lastUsedAt, statusChangedAt } = credential;
  const times = { createdAt, lastUsedAt, statusChangedAt };
  return { id, name, status, authenticator, attachment, transports, algorithm, backedUp, ...times };
}
