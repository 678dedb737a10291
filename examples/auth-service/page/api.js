/** A request that auth-service refused. messages.js turns `code` and `reason` into a text. */
export class Refused extends Error {
  constructor(status, body) {
    super(body.code);
    Object.assign(this, body, { status });
  }
}

export async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      ...(method !== 'GET' && { body: JSON.stringify(body ?? {}), headers: { 'content-type': 'application/json' } }),
    });
  } catch {
    throw new Refused(0, { code: 'auth-service-unreachable' });
  }
  const answer = await response.json().catch(() => ({ code: 'unexpected' }));
  if (!response.ok) throw new Refused(response.status, answer);
  return answer;
}
