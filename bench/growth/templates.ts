import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import pg from 'pg';
import type { Challenge } from '../../test/support/bodies.js';
import { RP_ID, type Running } from '../contenders/contender.js';
import { service } from '../contenders/service.js';
import { Connection } from '../load/connection.js';
import { Users } from '../load/users.js';
import { SMALL_RP_ID } from './population.js';

/** An event of the service as a template of SQL's format(), with places for id, time, user and credential. */
export interface Template {
  readonly event: string;
  readonly type: string;
  readonly outcome: string;
  readonly actor: string | null;
  readonly rp_id: string | null;
  readonly of_user: boolean;
  readonly of_credential: boolean;
}

interface Written extends Omit<Template, 'of_user' | 'of_credential'> {
  readonly id: string;
  readonly user_id: string | null;
  readonly credential_uid: string | null;
  readonly credential_id: string | null;
}

/** One condition for each kind. PLAN in load-events.ts gives the numbers of copies. */
const KINDS = [
  `type = 'credential.verify' AND outcome = 'success'`,
  `type = 'credential.verify' AND outcome = 'failure'`,
  `type = 'credential.rename'`,
  `type = 'challenge.issue' AND outcome = 'failure'`,
  `type = 'audit.read'`,
];
/** The kind of the small relying party. It names no user. */
const OF_SMALL_RP = 3;

/** Lets a running service write the template events. */
export async function writtenTemplates({ target }: Running, databaseUrl: string): Promise<Template[]> {
  await writeEvents(await Connection.open(target), await Connection.open({ ...target, identity: 'auditor' }));
  const session = new pg.Client({ connectionString: databaseUrl });
  await session.connect();
  const templates: Template[] = [];
  for (const [kind, where] of KINDS.entries()) {
    const { rows } = await session.query<Written>(`SELECT * FROM audit_event WHERE ${where} ORDER BY id DESC LIMIT 1`);
    templates.push(templateOf(rows[0]!, kind === OF_SMALL_RP));
  }
  await session.end();
  return templates;
}

async function writeEvents(caller: Connection, auditor: Connection): Promise<void> {
  const user = new Users(1).next();
  const { driver } = service;
  await driver.register(caller, user);
  await driver.authenticate(caller, user, true);
  await caller.call('PATCH', `/v1/credentials/${String(user.credential)}`, { name: 'Telephone' });
  const issue = async (body: object): Promise<Challenge<PublicKeyCredentialRequestOptionsJSON>> =>
    (await caller.call<Challenge<PublicKeyCredentialRequestOptionsJSON>>('POST', ISSUE, body)).body;
  const { challengeId, publicKey } = await issue({ rpId: RP_ID, userId: user.id });
  const response = user.authenticator.get(publicKey, 'https://elsewhere.example');
  await caller.call('POST', '/v1/credentials/verify', { challengeId, response }).catch(() => undefined);
  const unproven = { rpId: RP_ID, user: { id: user.id, name: 'x', displayName: 'x' } };
  await caller.call('POST', '/v1/challenges/registration', unproven).catch(() => undefined);
  await auditor.call('GET', '/v1/audit/events?limit=1');
  for (const connection of [caller, auditor]) connection.close();
}

const ISSUE = '/v1/challenges/authentication';

/** In format(), %1$s is the id, 2 and 3 are the time as number and text, 4 is the user, 5 and 6 are the credential's ids. */
function templateOf(written: Written, small: boolean): Template {
  const { id, event, user_id: user, credential_uid: uid, credential_id: credentialId } = written;
  const { time, time_dt: timeText } = JSON.parse(event) as { time: number; time_dt: string };
  const members = [id, `"time":${String(time)}`, timeText, user, uid, credentialId];
  const template = members.reduce<string>(
    (text, member, index) => {
      if (member === null) return text;
      const place = `%${String(index + 1)}$s`;
      return text.replaceAll(member, index === 1 ? `"time":${place}` : place);
    },
    event.replaceAll('%', '%%'),
  );
  const { type, outcome, actor, rp_id } = written;
  return {
    type,
    outcome,
    actor,
    of_user: user !== null && !small,
    of_credential: uid !== null,
    event: small ? template.replaceAll(`"${RP_ID}"`, `"${SMALL_RP_ID}"`) : template,
    rp_id: small ? SMALL_RP_ID : rp_id,
  };
}
