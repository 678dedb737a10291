import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { PasskeyManager, PasskeyProblem, PasskeyTransportError, verifyReceipt } from '@passkey-manager/client';
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/browser';

/** An auth-service as small as it can be, with the types of the library in its page. It knows one user. */
const [url = '', pki = ''] = process.argv.slice(2);
const passkeys = new PasskeyManager({
  url,
  certFile: `${pki}/auth-service.crt`,
  keyFile: `${pki}/auth-service.key`,
  caFile: `${pki}/ca.crt`,
});
const rpId = 'localhost';
const ada = { id: 'ada', name: 'ada@example.com', displayName: 'Ada Lovelace' };
const challenges = new Map<string, string>();

async function answer(path: string, body: unknown): Promise<unknown> {
  switch (path) {
    case '/register/options': {
      const identityProof = { method: 'password', verifiedAt: new Date().toISOString() };
      const { challengeId, publicKey } = await passkeys.issueRegistrationChallenge({ rpId, user: ada, identityProof });
      challenges.set('register', challengeId);
      const optionsJSON: PublicKeyCredentialCreationOptionsJSON = publicKey;
      return optionsJSON;
    }
    case '/register': {
      const response = body as RegistrationResponseJSON;
      const { id, userId } = await passkeys.registerCredential({ challengeId: take('register'), response });
      return { id, userId };
    }
    case '/sign-in/options': {
      const { challengeId, publicKey } = await passkeys.issueAuthenticationChallenge({ rpId, purpose: 'sign-in' });
      challenges.set('sign-in', challengeId);
      const optionsJSON: PublicKeyCredentialRequestOptionsJSON = publicKey;
      return optionsJSON;
    }
    default: {
      const response = body as AuthenticationResponseJSON;
      const audience = 'https://shop.example';
      const answer = { challengeId: take('sign-in'), response, purpose: 'sign-in', receipt: { audience } };
      const { credential, receipt = '' } = await passkeys.verifyAuthentication(answer);
      const expected = { issuer: 'passkey-manager/default', audience, jwksFrom: passkeys };
      return { id: credential.id, userId: (await verifyReceipt(receipt, expected)).sub };
    }
  }
}

function take(ceremony: string): string {
  const challengeId = challenges.get(ceremony) ?? '';
  challenges.delete(ceremony);
  return challengeId;
}

function refuse(error: unknown): { status: number; body: object } {
  if (error instanceof PasskeyProblem)
    return { status: error.status, body: { slug: error.slug, reason: error.reason } };
  if (error instanceof PasskeyTransportError) return { status: 502, body: { code: error.code, advice: error.advice } };
  return { status: 500, body: { message: String(error) } };
}

const server = createServer((request, response) => {
  void json(request)
    .then((body) => answer(request.url ?? '', body))
    .then((body) => ({ status: 200, body }), refuse)
    .then(({ status, body }) => response.writeHead(status).end(JSON.stringify(body)));
});
server.listen(0, '127.0.0.1', () => {
  console.log(
    `Node.js ${process.version} listens on http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
  );
});
