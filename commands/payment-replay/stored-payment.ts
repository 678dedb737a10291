import { Gauge } from 'prom-client';
import type { DataSource } from 'typeorm';
import { AuditLeafEntity } from '../../src/audit-log/log.entities.js';
import { AuditEventEntity } from '../../src/audit/audit-event.entity.js';
import { equalsSql, typeEqualsSql } from '../../src/audit/audit-event.repository.js';
import { UserHandleEntity } from '../../src/challenges/user-handle.entity.js';
import { systemClock } from '../../src/config/clock.js';
import type { SecretKeys } from '../../src/config/secret-keys.js';
import { describeRow } from '../../src/credentials/credential-bindings.js';
import { CredentialEntity } from '../../src/credentials/credential.entity.js';
import { UUID } from '../../src/http/validators.js';
import { SealRegister } from '../../src/seals/seal-register.js';
import { Seals } from '../../src/seals/seals.js';
import { hashLeaf } from '../../src/tlog/merkle.js';
import type { LoggedPayment } from './logged-payment.js';
import type { ReplayedPasskey } from './replay.js';

export const STORED_ENTITIES = [AuditEventEntity, AuditLeafEntity, CredentialEntity, UserHandleEntity];

/** The database has no such event. The message says why. */
export class EventMissingError extends Error {
  override readonly name = 'EventMissingError';
}

/**
 * Reads an event as it was recorded.
 *
 * @returns its text, and true if the log has another hash of it
 * @throws EventMissingError
 */
export async function findEvent(dataSource: DataSource, id: string): Promise<{ text: string; isAltered: boolean }> {
  const [row, leaf] = await Promise.all([
    dataSource.getRepository(AuditEventEntity).findOneBy({ id }),
    dataSource.getRepository(AuditLeafEntity).findOneBy({ eventId: id }),
  ]);
  // An event that is pending has no leaf yet.
  if (row) return { text: row.event, isAltered: leaf !== null && !hashLeaf(row.event).equals(leaf.leafHash) };
  throw new EventMissingError(
    leaf
      ? `The event ${id} is leaf ${String(leaf.leafIndex)} of the log, and no longer in the database: take its line from the file of its month (npm run audit:archive), and put it into the file as "event".`
      : `The database has no event ${id}.`,
  );
}

/** Finds the passkey of a payment, revoked or not, if its row is as the service wrote it. @throws ConfigError */
export async function findPasskey(
  dataSource: DataSource,
  keys: Pick<SecretKeys, 'seals'>,
  { rpId, credential: { id, credentialId }, pseudonym }: LoggedPayment,
): Promise<ReplayedPasskey> {
  const unknown = { publicKey: undefined, userId: undefined };
  if (rpId === undefined || id === undefined || !UUID.test(id))
    return { ...unknown, outcome: 'fails', text: 'the event names no passkey' };
  const row = await dataSource.getRepository(CredentialEntity).findOneBy({ rpId, id });
  if (!row) return { ...unknown, outcome: 'open', text: await explainAbsence(dataSource, pseudonym) };
  const seals = await openSeals(dataSource, keys);
  if (!seals.isGenuine(describeRow(row), row.bindingMac)) {
    const text = `something other than the service changed the row of the passkey ${id}: its seal does not hold`;
    return { ...unknown, outcome: 'fails', text };
  }
  if (row.credentialId.toString('base64url') !== credentialId)
    return { ...unknown, outcome: 'fails', text: `the row ${id} is of another passkey than the event’s` };
  const { publicKey, userId, status, statusChangedAt } = row;
  const since = status === 'active' ? '' : ` since ${statusChangedAt.toISOString()}`;
  const text = `the row of the passkey ${id} has the key, and its seal holds; the passkey is ${status}${since}`;
  return { publicKey, userId, outcome: 'holds', text };
}

async function openSeals(dataSource: DataSource, keys: Pick<SecretKeys, 'seals'>): Promise<Seals> {
  const oldSealsAccepted = new Gauge({ name: 'old_seals', help: 'Nobody reads it', registers: [] });
  return new Seals(keys, await SealRegister.read(dataSource, systemClock, keys, { oldSealsAccepted }));
}

/** Says why the row of a passkey is gone. */
async function explainAbsence(dataSource: DataSource, pseudonym: string | undefined): Promise<string> {
  const isKnown = pseudonym !== undefined && UUID.test(pseudonym);
  const user = isKnown && (await dataSource.getRepository(UserHandleEntity).findOneBy({ auditUid: pseudonym }));
  if (user) return 'the row of the passkey is gone, and its user was not erased: run npm run reconcile';
  const [erasure] = isKnown
    ? await dataSource.query<{ id: string }[]>(
        `SELECT id FROM audit_event e WHERE ${typeEqualsSql('e.type', "'user.erase'")} AND ${equalsSql('e.user_id', '$1')} AND outcome = 'success' LIMIT 1`,
        [pseudonym],
      )
    : [];
  return erasure
    ? `the user was erased (event ${erasure.id}), and the public key with the user: give it as /publicKey, if it was kept`
    : 'the passkey and its user are gone, and the public key with them: give it as /publicKey, if it was kept';
}
