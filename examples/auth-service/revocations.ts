import { followSignals, type PasskeyManager, type Schemas, type Signal } from '@passkey-manager/client';
import type { Sessions } from './sessions.ts';
import { rpId } from './settings.ts';

const CHANGE = 'https://schemas.openid.net/secevent/caep/event-type/credential-change';

/**
 * Ends the sessions of passkeys that somebody else revokes or erases, until it is told to end. Sign-in does not depend on it:
 * without signals, a session ends by itself.
 */
export async function endRevokedSessions(
  passkeys: PasskeyManager,
  sessions: Sessions,
  signal: AbortSignal,
): Promise<void> {
  const report = (error: unknown): void => {
    console.error(`Signals: ${(error as Error).message}`);
  };
  try {
    const { issuer } = await passkeys.getTransmitterConfiguration({ signal });
    const { stream_id: streamId, aud } = await findStream(passkeys);
    const onSignal = (received: Signal): Promise<void> => endSessions(passkeys, sessions, received);
    await followSignals(passkeys, { streamId, issuer, audience: aud, onSignal, onFailure: report, signal });
  } catch (error) {
    if (!signal.aborted) report(error);
  }
}

async function findStream(passkeys: PasskeyManager): Promise<Schemas['Stream']> {
  const streams = await passkeys.getStreams();
  const [stream] = Array.isArray(streams) ? streams : [streams];
  return (
    stream ?? passkeys.createStream({ events_requested: [CHANGE], description: 'Ends sessions of revoked passkeys' })
  );
}

/** The signal names the user and no passkey, so it is a reason to look which of them are left. */
async function endSessions(
  passkeys: PasskeyManager,
  sessions: Sessions,
  { sub_id: user, events }: Signal,
): Promise<void> {
  const type = events[CHANGE]?.['change_type'];
  if (user.format !== 'iss_sub' || (type !== 'revoke' && type !== 'delete')) return;
  if (user.iss !== `https://${rpId}`) return;
  const { data } = await passkeys.listCredentials({ rpId, userId: user.sub, limit: 200 });
  const left = data.filter(({ status }) => status !== 'revoked').map(({ id }) => id);
  sessions.endWithout(user.sub, new Set(left));
}
