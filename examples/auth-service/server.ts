import { Accounts } from './accounts.ts';
import { createAuditRoutes } from './audit-view.ts';
import { PAGE } from './page-files.ts';
import { PasskeyNames } from './passkey-names.ts';
import { createPasskeyRoutes } from './passkeys.ts';
import { PasswordAttempts } from './password-attempts.ts';
import { createPaymentRoutes, requireShop } from './payments.ts';
import { requireOwnPage, serve } from './serve.ts';
import { endRevokedSessions } from './revocations.ts';
import { Sessions } from './sessions.ts';
import { accountsFile, connectAs, origin } from './settings.ts';
import { createSignInRoutes } from './sign-in.ts';

const passkeys = connectAs('auth-service');
const auditor = connectAs('auditor');
const accounts = new Accounts(accountsFile);
const sessions = new Sessions();
const names = new PasskeyNames();
const ending = new AbortController();

void endRevokedSessions(passkeys, sessions, ending.signal);
serve({
  name: 'auth-service',
  origin,
  portSetting: 'AUTH_SERVICE_PORT',
  folders: PAGE,
  routes: {
    ...createSignInRoutes(passkeys, accounts, sessions, new PasswordAttempts()),
    ...createPasskeyRoutes(passkeys, accounts, sessions, names),
    ...createPaymentRoutes(passkeys, accounts, sessions),
    ...createAuditRoutes(auditor, passkeys, accounts, names),
  },
  sessions,
  admit: (request, path) => {
    if (path.startsWith('/shop/')) requireShop(request);
    else requireOwnPage(request, origin);
  },
  close: () => {
    ending.abort();
    passkeys.close();
    auditor.close();
  },
});
