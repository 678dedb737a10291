import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { PasskeyManager } from '@passkey-manager/client';
import { type Account, Accounts } from '../../examples/auth-service/accounts.ts';
import { PasskeyNames } from '../../examples/auth-service/passkey-names.ts';
import { createPasskeyRoutes } from '../../examples/auth-service/passkeys.ts';
import { PasswordAttempts } from '../../examples/auth-service/password-attempts.ts';
import { Refusal } from '../../examples/auth-service/refusal.ts';
import { type Session, Sessions, type SignIn } from '../../examples/auth-service/sessions.ts';
import { rpId } from '../../examples/auth-service/settings.ts';

/** A browser that keeps one cookie. */
class Browser {
  #cookie = '';

  readonly response = {
    setHeader: (_: string, value: string) => (this.#cookie = value.split(';')[0]!),
  } as unknown as ServerResponse;

  get request(): IncomingMessage {
    return { headers: { cookie: this.#cookie } } as IncomingMessage;
  }

  get hasCookie(): boolean {
    return this.#cookie !== '' && this.#cookie !== 'session=';
  }
}

const signInOf = (accountId: string): SignIn => ({ accountId, method: 'password', at: new Date() });

function signIn(sessions: Sessions, accountId: string): Browser {
  const browser = new Browser();
  sessions.renew(sessions.getSession(browser.request), browser.response, signInOf(accountId));
  return browser;
}

const hasCode = (code: string) => (error: unknown) => error instanceof Refusal && error.message === code;

await describe('sessions', async () => {
  await it('of browsers that only look take no memory', () => {
    const sessions = new Sessions();
    const browser = new Browser();
    const first = sessions.getSession(browser.request);
    assert.equal(browser.hasCookie, false);
    assert.notEqual(sessions.getSession(browser.request).id, first.id);
  });

  await it('are kept from the first challenge on', () => {
    const sessions = new Sessions();
    const browser = new Browser();
    const session = sessions.getSession(browser.request);
    sessions.addChallenge(session, browser.response, 'challenge');
    assert.equal(sessions.getSession(browser.request), session);
  });

  await it('that nobody signed in to give way, and end no sign-in', () => {
    const sessions = new Sessions();
    const ada = signIn(sessions, 'ada');
    const browsers = Array.from({ length: 10_050 }, () => new Browser());
    for (const { request, response } of browsers)
      sessions.addChallenge(sessions.getSession(request), response, 'challenge');
    const kept = browsers.filter(({ request }) => sessions.getSession(request).challenges.size > 0);
    assert.equal(kept.length, 9_999);
    assert.equal(sessions.getSession(ada.request).signIn?.accountId, 'ada');
  });

  await it('of one account are ten, and the oldest ends', () => {
    const sessions = new Sessions();
    const bob = signIn(sessions, 'bob');
    const browsers = Array.from({ length: 11 }, () => signIn(sessions, 'ada'));
    assert.deepEqual(
      browsers.map(({ request }) => sessions.getSession(request).signIn !== undefined),
      [false, ...Array<boolean>(10).fill(true)],
    );
    assert.notEqual(sessions.getSession(bob.request).signIn, undefined);
  });

  await it('end with the sign-out', () => {
    const sessions = new Sessions();
    const ada = signIn(sessions, 'ada');
    const { request } = ada;
    sessions.renew(sessions.getSession(request), ada.response, undefined);
    assert.equal(sessions.getSession(request).signIn, undefined);
    assert.equal(ada.hasCookie, false);
  });
});

await describe('password attempts', async () => {
  const wrong = (): Promise<undefined> => Promise.resolve(undefined);
  const right = (): Promise<string> => Promise.resolve('account');

  await it('are ten for an address in 15 minutes, also at the same time', async () => {
    let now = 0;
    const attempts = new PasswordAttempts(() => now);
    const outcomes = await Promise.allSettled(Array.from({ length: 30 }, () => attempts.count('ada', wrong)));
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 10);
    await assert.rejects(attempts.count('ada', right), hasCode('too-many-attempts'));
    assert.equal(await attempts.count('bob', right), 'account');
    now += 15 * 60_000;
    assert.equal(await attempts.count('ada', right), 'account');
  });

  await it('are forgotten after a right one', async () => {
    const attempts = new PasswordAttempts();
    for (let n = 0; n < 40; n += 1) {
      assert.equal(await attempts.count('ada', n % 10 === 9 ? right : wrong), n % 10 === 9 ? 'account' : undefined);
    }
  });
});

await describe('a registration', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'auth-service-'));
  after(() => {
    rmSync(directory, { recursive: true });
  });
  const accounts = new Accounts(join(directory, 'accounts.json'));
  let account: Account;
  before(async () => {
    account = (await accounts.signUp('ada@example.com', 'Ada', 'correct horse'))!;
  });

  /** Registers with a service that names the passkey's owner, and returns the answer and the revocations. */
  async function register(credential: { userId: string; rpId: string }) {
    const revoked: string[] = [];
    const id = randomUUID();
    const service = {
      registerCredential: () => Promise.resolve({ id, ...credential }),
      revokeCredential: (credentialId: string) => Promise.resolve(revoked.push(credentialId)),
    } as unknown as PasskeyManager;
    const sessions = new Sessions();
    const { request, response } = signIn(sessions, account.id);
    const session: Session = sessions.getSession(request);
    sessions.addChallenge(session, response, 'c-1');
    const body = { challengeId: 'c-1', name: 'Laptop', response: {} };
    const route = createPasskeyRoutes(service, accounts, sessions, new PasskeyNames())['POST /api/passkeys']!;
    const outcome = await Promise.resolve(route({ request, response, session, id: '', body })).catch(
      (error: unknown) => error,
    );
    return { outcome, revoked, id };
  }

  await it('of the signed-in user is shown', async () => {
    const { outcome, revoked, id } = await register({ userId: account.id, rpId });
    assert.equal((outcome as { id?: string }).id, id);
    assert.deepEqual(revoked, []);
  });

  await it('of another user is refused, and its passkey is revoked', async () => {
    const { outcome, revoked, id } = await register({ userId: randomUUID(), rpId });
    assert.ok(hasCode('passkey-of-another')(outcome));
    assert.deepEqual(revoked, [id]);
  });

  await it('of another relying party is refused, and its passkey is revoked', async () => {
    const { outcome, revoked, id } = await register({ userId: account.id, rpId: 'other.example' });
    assert.ok(hasCode('passkey-of-another')(outcome));
    assert.deepEqual(revoked, [id]);
  });
});
