import createClient from 'openapi-fetch';
import type { components, paths } from './generated/openapi-typescript.js';

const client = createClient<paths>({ baseUrl: 'https://127.0.0.1:8443' });

export async function signIn(
  response: components['schemas']['AuthenticationResponseJSON'],
): Promise<string | undefined> {
  const issued = await client.POST('/v1/challenges/authentication', { body: { rpId: 'localhost' } });
  if (!issued.data) throw new Error(issued.error.reason ?? issued.error.title);
  const { challengeId } = issued.data;
  const { data } = await client.POST('/v1/credentials/verify', { body: { challengeId, response } });
  return data?.credential.authenticator?.name;
}

export async function list(id: string): Promise<(string | null | undefined)[]> {
  const page = await client.GET('/v1/credentials', { params: { query: { status: 'active', limit: 10 } } });
  const one = await client.GET('/v1/credentials/{id}', { params: { path: { id } } });
  return [page.data?.nextCursor, one.data?.statusReason];
}
