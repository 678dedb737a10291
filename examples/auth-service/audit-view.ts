import type { PasskeyManager, Schemas } from '../../clients/typescript/client.ts';
import type { Accounts } from './accounts.ts';
import type { Routes } from './http.ts';
import { Refusal } from './refusal.ts';
import { rpId } from './settings.ts';

const SHOWN = 30;

/**
 * Shows the audit events of the signed-in user. Only the demo does this: in production, auth-service has neither the
 * permission nor the auditor's certificate, and only auditors read the log.
 */
export function createAuditRoutes(auditor: PasskeyManager, passkeys: PasskeyManager, accounts: Accounts): Routes {
  return {
    'GET /api/audit': async ({ session: { signIn } }) => {
      const account = signIn && accounts.findById(signIn.accountId);
      if (!account) throw new Refusal(401, 'signed-out');
      const [events, credentials] = await Promise.all([
        auditor.listAuditEvents({ userId: account.id, limit: SHOWN }),
        passkeys.listCredentials({ rpId, userId: account.id, limit: 200 }),
      ]);
      const names = new Map(credentials.data.map(({ id, name }) => [id, name]));
      return { events: events.data.map((event) => summarizeEvent(event, names)) };
    },
  };
}

interface Facts {
  credential?: { uid?: string };
  identity_proof?: { method?: string };
}

function summarizeEvent(event: Schemas['AuditEvent'], names: ReadonlyMap<string, string>) {
  const { credential, identity_proof: proof } = (event['unmapped'] ?? {}) as Facts;
  return {
    id: event.metadata.uid,
    type: event.metadata.event_code,
    time: new Date(event.time).toISOString(),
    succeeded: event.status_id === 1,
    reason: event.status_code,
    caller: event.actor?.app_uid,
    passkey: names.get(credential?.uid ?? ''),
    proof: proof?.method,
  };
}
