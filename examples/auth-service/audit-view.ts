import type { PasskeyManager, Schemas } from '@passkey-manager/client';
import type { Accounts } from './accounts.ts';
import type { Routes } from './http.ts';
import type { PasskeyNames } from './passkey-names.ts';
import { Refusal } from './refusal.ts';
import { rpId } from './settings.ts';

const SHOWN = 30;

/**
 * Shows the audit events of the signed-in user. Only the demo does this: in production, auth-service has neither the
 * permission nor the auditor's certificate, and only auditors read the log.
 */
export function createAuditRoutes(
  auditor: PasskeyManager,
  passkeys: PasskeyManager,
  accounts: Accounts,
  former: PasskeyNames,
): Routes {
  return {
    'GET /api/audit': async ({ session: { signIn } }) => {
      const account = signIn && accounts.findById(signIn.accountId);
      if (!account) throw new Refusal(401, 'signed-out');
      const [events, credentials] = await Promise.all([
        auditor.listAuditEvents({ userId: account.id, limit: SHOWN }),
        passkeys.listCredentials({ rpId, userId: account.id, limit: 200 }),
      ]);
      const present = credentials.data.map(({ id, name }) => [id, { name, before: former.goBack(id) }] as const);
      const names = new Map<string, NameThen>(present);
      return { events: events.data.map((event) => summarizeEvent(event, names)) };
    },
  };
}

/** A passkey's name at the time of the event that is looked at, on the way from the newest event to the oldest. */
interface NameThen {
  name: string | undefined;
  readonly before: () => string | undefined;
}

interface Facts {
  credential?: { uid?: string };
  identity_proof?: { method?: string };
}

function summarizeEvent(event: Schemas['AuditEvent'], names: ReadonlyMap<string, NameThen>) {
  const { credential, identity_proof: proof } = (event['unmapped'] ?? {}) as Facts;
  const then = names.get(credential?.uid ?? '');
  const after = then?.name;
  const succeeded = event.status_id === 1;
  const renamed = event.metadata.event_code === 'credential.rename' && succeeded;
  if (then && renamed) then.name = then.before();
  return {
    id: event.metadata.uid,
    type: event.metadata.event_code,
    time: new Date(event.time).toISOString(),
    succeeded,
    reason: event.status_code,
    caller: event.actor?.app_uid,
    passkey: then?.name,
    newName: renamed ? after : undefined,
    proof: proof?.method,
  };
}
