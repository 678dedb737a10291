import type { AuthorizedContext, Caller } from '../../src/http/request-context.js';

export const AUTH_SERVICE: Caller = {
  spiffeId: 'spiffe://bank.example/ns/prod/sa/auth-service',
  fingerprint: 'ab'.repeat(32),
  publicKey: 'cd'.repeat(32),
  serialNumber: '5f3a',
  notBefore: new Date('2026-01-01T00:00:00Z'),
  notAfter: new Date('2027-01-01T00:00:00Z'),
  authority: 'c0ffee',
};

/** Makes the context of a request that both guards admit. */
export function makeAuthorizedContext(
  caller: Partial<Caller> = {},
  relyingParties: readonly string[] | null = null,
): AuthorizedContext {
  return {
    requestId: '0199b4e0-0000-7000-8000-000000000001',
    operation: 'POST /v1/credentials/verify',
    source: { ip: '192.0.2.7', port: 50_000 },
    caller: { ...AUTH_SERVICE, ...caller },
    relyingParties,
  };
}
