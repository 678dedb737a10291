import type { AuditEntry } from '../../src/audit/audit-entry.js';
import { createAuditRow } from '../../src/audit/audit-event.repository.js';
import type { RequestContext } from '../../src/http/request-context.js';
import { AUTH_SERVICE, makeAuthorizedContext } from './callers.js';

const HOUR_MS = 3_600_000;
export const WEEK_START = Date.UTC(2026, 0, 5);
export const WINDOWS_HELLO = '08987058-cadc-4b81-b6e1-30de50dcbe96';
const UNKNOWN_MODEL = '11111111-2222-3333-4444-555555555555';
/** A hostile name that somebody may give to a relying party or to a user. */
export const HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(2)>\u001b[2J\u202egnp';

const caller = (name: string): RequestContext => ({
  ...makeAuthorizedContext(),
  caller: { ...AUTH_SERVICE, spiffeId: `spiffe://bank.example/${name}` },
});
const unidentified = (ip: string): RequestContext => ({
  requestId: '',
  operation: 'TLS handshake',
  source: { ip, port: 4_711 },
});

/** Makes a week of recorded events at fixed times. */
export function makeSampleWeek(): string[] {
  const events: { time: number; event: string }[] = [];
  const add = (hours: number, entry: AuditEntry, context: RequestContext | null = caller('auth-service')): void => {
    const time = WEEK_START + hours * HOUR_MS + (events.length % 3_000);
    events.push({ time, event: createAuditRow(entry, context, new Date(time)).values[1] as string });
  };
  for (let hour = 0; hour < 168; hour += 1) ceremonies(hour, add);
  administration(add);
  return events.sort((a, b) => a.time - b.time).map(({ event }) => event);
}

type Add = (hours: number, entry: AuditEntry, context?: RequestContext | null) => void;

/** Adds the ceremonies of an hour: none at night, most at noon. One in ten is refused. */
function ceremonies(hour: number, add: Add): void {
  const rpId = 'login.bank.example';
  const count = Math.max(0, 12 - Math.abs((hour % 24) - 13) * 2);
  for (let n = 0; n < count; n += 1) {
    const refused = (hour * 7 + n) % 10 === 0;
    add(hour, { type: 'challenge.issue', outcome: 'success', rpId });
    const reason = n % 2 === 0 ? 'user-verification-missing' : 'credential-unknown';
    if (refused) add(hour, { type: 'credential.verify', outcome: 'failure', reason, rpId });
    else add(hour, { type: 'credential.verify', outcome: 'success', rpId });
  }
}

function administration(add: Add): void {
  const credential = { id: '0199b4e0-0000-7000-8000-000000000001', credentialId: 'AAAA' };
  const subject = { outcome: 'success', rpId: 'login.bank.example', credential } as const;
  for (let n = 0; n < 5; n += 1) add(9, { type: 'credential.register', ...subject, facts: { aaguid: WINDOWS_HELLO } });
  add(10, { type: 'credential.register', ...subject, facts: { aaguid: UNKNOWN_MODEL } });
  add(33, { type: 'credential.revoke', ...subject, facts: { aaguid: WINDOWS_HELLO } });
  add(34, { type: 'credential.verify', outcome: 'failure', reason: 'sign-count-regressed' });
  for (let n = 0; n < 3; n += 1) add(34, { type: 'confirmation.verify', ...subject });
  add(34, { type: 'confirmation.verify', outcome: 'failure', reason: 'transaction-mismatch' });
  for (let n = 0; n < 2; n += 1) add(34, { type: 'payment.verify', ...subject });
  add(34, { type: 'payment.verify', outcome: 'failure', reason: 'payment-mismatch' });
  add(34, { type: 'payment.verify', outcome: 'failure', reason: 'browser-key-denied' });
  add(35, { type: 'credential.tampered', outcome: 'failure', detail: 'the row was changed' });
  add(36, { type: 'reconciliation.finding', outcome: 'failure', reason: 'row-outdated' });
  for (let n = 0; n < 4; n += 1)
    add(
      40 + n,
      {
        type: 'access.denied',
        outcome: 'failure',
        reason: 'permission-denied',
        facts: n === 3 ? { refused_before_unrecorded: 30 } : {},
      },
      caller('batch'),
    );
  for (let n = 0; n < 3; n += 1)
    add(
      50,
      {
        type: 'handshake.refused',
        outcome: 'failure',
        reason: 'CERT_REVOKED',
        facts: n === 2 ? { refused_before_unrecorded: 17 } : {},
      },
      unidentified('203.0.113.9'),
    );
  add(
    60,
    {
      type: 'policy.reload',
      outcome: 'success',
      facts: { digest: 'ab'.repeat(32), added: [`spiffe://bank.example/${HOSTILE}`] },
    },
    null,
  );
  add(61, { type: 'trust.reload', outcome: 'failure', reason: 'unusable', detail: 'no certificate' }, null);
  add(
    62,
    { type: 'relying-party.create', outcome: 'success', rpId: 'shop.example', facts: { name: HOSTILE, version: 1 } },
    caller('operator'),
  );
  const rekeyed = { old_keys: ['log+01234567'], new_keys: ['log+89abcdef'], old_keys_sign: true };
  add(63, { type: 'audit.rekey', outcome: 'success', facts: rekeyed }, null);
  const restored = { lost_checkpoint: '9 AAAA', continued_checkpoint: '7 BBBB' };
  add(63.5, { type: 'audit.restore', outcome: 'success', facts: restored }, null);
  const approval = { outcome: 'success', rpId: 'shop.example', approvalId: credential.id } as const;
  add(64, { type: 'approval.request', ...approval }, caller('operator'));
  add(65, { type: 'approval.approve', ...approval }, caller('second'));
  add(66, { type: 'approval.tampered', ...approval, outcome: 'failure', detail: 'the row was changed' });
  const stream = { outcome: 'success', streamId: credential.id } as const;
  add(66.2, { type: 'signal-stream.create', ...stream }, caller('operator'));
  add(66.4, { type: 'signal-stream.drop', ...stream, outcome: 'failure', detail: '7 signals were dropped' }, null);
  const sealed = {
    type: 'relying-party.seal',
    outcome: 'success',
    rpId: 'shop.example',
    facts: { version: 1 },
  } as const;
  add(67, sealed, null);
  add(68, { ...sealed, type: 'relying-party.tampered', outcome: 'failure', detail: 'the row was changed' });
  const ended = { version: 2, successor: 'new.example', ended_at: '2026-03-06T00:00:00.000Z' };
  add(68.5, { type: 'relying-party.end', outcome: 'success', rpId: 'shop.example', facts: ended }, null);
  const [seal_key, former_seal_key] = ['3fa29b1c', '0badc0de'];
  add(69, { type: 'seal-key.add', outcome: 'success', facts: { seal_key } }, null);
  add(69.2, { type: 'seal-key.rotate', outcome: 'success', facts: { seal_key, former_seal_key } }, null);
  add(69.4, { type: 'seal-key.end-old-seals', outcome: 'success' }, null);
  const stolen = { seal_key: former_seal_key, rows: 3 };
  add(69.6, { type: 'seal-key.force-retire', outcome: 'success', approvalId: credential.id, facts: stolen }, null);
  add(69.8, { type: 'seal-key.retire', outcome: 'success', facts: { seal_key: 'cafe0001' } }, null);
  add(70, { type: 'audit.read', outcome: 'success' }, caller('auditor'));
  add(71, { type: 'audit.read', outcome: 'success' }, caller('auditor'));
  const exported = { type: 'credential.export', outcome: 'success', rpId: 'shop.example' } as const;
  add(69.9, { ...exported, facts: { state: 'begun' } }, caller('operator'));
  add(69.95, { ...exported, facts: { state: 'finished', credentials: 3, left_out: 0 } }, caller('operator'));
  const imported = { aaguid: credential.id, source: 'hanko', credential_version: 1 };
  add(
    69.97,
    { type: 'credential.import', outcome: 'success', rpId: 'shop.example', facts: imported },
    caller('operator'),
  );
  const revoked = { status_reason: 'the account was taken over', credentials: 0 };
  add(69.98, { type: 'user.revoke', outcome: 'success', rpId: 'shop.example', facts: revoked }, caller('operator'));
  add(72, { type: 'audit.export', outcome: 'success' }, caller('siem'));
  add(
    80,
    { type: 'risk.signal', outcome: 'success', reason: 'denial-spike', detail: '20 denials within a minute' },
    null,
  );
  add(81, { type: 'audit.failure', outcome: 'failure', reason: 'anchor' }, null);
  add(82, { type: 'audit.recovery', outcome: 'success', reason: 'anchor' }, null);
}
