import type { AuthenticationResponseJson } from './generated/hey-api/index.js';
import {
  getCredential,
  issueAuthenticationChallenge,
  listCredentials,
  verifyAuthentication,
} from './generated/hey-api/index.js';

export async function signIn(response: AuthenticationResponseJson): Promise<string | undefined> {
  const issued = await issueAuthenticationChallenge({ body: { rpId: 'localhost' } });
  if (!issued.data) throw new Error(issued.error.reason ?? issued.error.title);
  const { data } = await verifyAuthentication({ body: { challengeId: issued.data.challengeId, response } });
  return data?.credential.authenticator?.name;
}

export async function list(id: string): Promise<(string | null | undefined)[]> {
  const page = await listCredentials({ query: { status: 'active', limit: 10 } });
  const one = await getCredential({ path: { id } });
  return [page.data?.nextCursor, one.data?.statusReason];
}
