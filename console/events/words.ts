import type { AuditEventType } from '../../src/audit/audit-entry.js';
import { shortenId } from '../shell/caller.js';
import type { LoggedEvent } from './logged-event.js';

/** What somebody did, or was refused to do: after the name of the actor, and after “was refused”. */
type Deed = readonly [did: string, refused: string];

const DEEDS: Readonly<Partial<Record<AuditEventType, Deed>>> = {
  'challenge.issue': ['asked for a challenge', 'a challenge'],
  'challenge.limit': ['reached the limit of challenges', 'a challenge, because of the limit'],
  'challenge.summary': ['asked for challenges, counted by the minute', 'challenges'],
  'credential.verify': ['verified a sign-in', 'a sign-in'],
  'confirmation.verify': ['verified a confirmation', 'a confirmation'],
  'payment.verify': ['verified the confirmation of a payment', 'the confirmation of a payment'],
  'credential.register': ['registered a passkey', 'the registration of a passkey'],
  'credential.import': ['imported a passkey', 'the import of a passkey'],
  'credential.revoke': ['revoked a passkey', 'to revoke a passkey'],
  'credential.rename': ['renamed a passkey', 'to rename a passkey'],
  'credential.suspend': ['suspended a passkey', 'to suspend a passkey'],
  'credential.reinstate': ['reinstated a passkey', 'to reinstate a passkey'],
  'credential.export': ['exported passkeys', 'an export of passkeys'],
  'browser-key.trust': ['trusted a browser key', 'to trust a browser key'],
  'browser-key.revoke': ['revoked a browser key', 'to revoke a browser key'],
  'user.revoke': ['revoked every passkey', 'to revoke every passkey'],
  'user.erase': ['erased the data', 'to erase the data'],
  'relying-party.create': ['created the relying party', 'to create the relying party'],
  'relying-party.update': ['changed the relying party', 'to change the relying party'],
  'relying-party.seal': ['sealed the record of the relying party', 'to seal the record of the relying party'],
  'relying-party.end': ['ended the relying party', 'to end the relying party'],
  'approval.request': ['asked for an approval', 'to ask for an approval'],
  'approval.approve': ['approved a request', 'to approve a request'],
  'approval.refuse': ['refused a request for approval', 'to refuse a request for approval'],
  'approval.expire': ['let a request for approval expire', 'a request for approval'],
  'signal-stream.create': ['made a stream of signals', 'to make a stream of signals'],
  'signal-stream.update': ['changed a stream of signals', 'to change a stream of signals'],
  'signal-stream.delete': ['deleted a stream of signals', 'to delete a stream of signals'],
  'signal-stream.subject': ['changed the subjects of a stream of signals', 'to change the subjects of a stream'],
  'access.denied': ['asked for what it may not do', 'access'],
  'handshake.refused': ['tried to connect', 'a connection'],
  'trust.reload': ['read its trust material again', 'a reload of its trust material'],
  'policy.reload': ['read the access policy again', 'a reload of the access policy'],
  'metadata.reload': ['read the FIDO metadata again', 'a reload of the FIDO metadata'],
  'attestation-roots.reload': ['read the attestation roots again', 'a reload of the attestation roots'],
  'receipt-keys.reload': ['read the receipt keys again', 'a reload of the receipt keys'],
  'signal-keys.reload': ['read the signal keys again', 'a reload of the signal keys'],
  'signal-push.reload': ['read the allowed receivers again', 'a reload of the allowed receivers'],
  'audit.read': ['read the audit log', 'a read of the audit log'],
  'audit.export': ['exported the audit log', 'an export of the audit log'],
  'audit.archive': ['archived a month of the audit log', 'to archive a month of the audit log'],
  'audit.rekey': ['changed the keys of the audit log', 'to change the keys of the audit log'],
  'audit.restore': ['began on a restored database', 'to begin on a restored database'],
  'seal-key.add': ['added a key that seals', 'to add a key that seals'],
  'seal-key.rotate': ['began to seal with a new key', 'to seal with a new key'],
  'seal-key.retire': ['retired a key that seals', 'to retire a key that seals'],
  'seal-key.force-retire': ['retired a key whose seals are left', 'to retire a key whose seals are left'],
  'seal-key.end-old-seals': ['ended the old seals', 'to end the old seals'],
  'service.start': ['started', 'to start'],
  'service.stop': ['stopped', 'to stop'],
  'schema.migrate': ['migrated the schema', 'to migrate the schema'],
};

/** Says in a sentence what happened. */
export function describeEvent(event: LoggedEvent): string {
  const { type, outcome, actor, userId, rpId, finding, reason, why } = event;
  const who = shortenId(actor) || 'Somebody';
  const about = `${userId === '' ? '' : ` of user ${userId}`}${rpId === '' ? '' : nameParty(type, rpId)}`;
  if (outcome === 'finding') return `${finding || type}${about === '' ? '' : `:${about}`}`;
  const [did, refused] = (DEEDS as Readonly<Record<string, Deed | undefined>>)[type] ?? [`did ${type}`, type];
  if (outcome === 'success') return `${who} ${did}${about}${why === '' ? '' : `: ${why}`}`;
  return `${who} was refused ${refused}${about}${reason === '' ? '' : `: ${reason}`}`;
}

function nameParty(type: string, rpId: string): string {
  return type.startsWith('relying-party.') ? ` ${rpId}` : ` at ${rpId}`;
}
