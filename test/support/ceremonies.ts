import type { Clock } from '../../src/config/clock.js';
import type { Authenticator } from './authenticator/authenticator.js';
import type { AssertionInterference, CreationInterference } from './authenticator/interference.js';
import type { AuthenticationChallenge, Credential, RegistrationChallenge, Verification } from './bodies.js';
import type { Answer, Client } from './client.js';

interface CeremonyOptions {
  /** Members of the challenge request to replace or add; `undefined` removes one. */
  challenge?: Record<string, unknown>;
  /** Members of the answer's request to replace or add; `undefined` removes one. */
  answer?: Record<string, unknown>;
  /** The origin of the page; by default the relying party's own. */
  origin?: string;
}

export type RegistrationOptions = CeremonyOptions & { interference?: CreationInterference };
export type AuthenticationOptions = CeremonyOptions & { interference?: AssertionInterference };

/** Auth-service and the user's browser in one, for the two ceremonies of one relying party. */
export class Ceremonies<Identity extends string> {
  readonly origin: string;

  private readonly client: Client<Identity>;
  private readonly clock: Clock;
  private readonly caller: Identity;
  readonly rpId: string;

  constructor(client: Client<Identity>, clock: Clock, caller: Identity, rpId: string, origin?: string) {
    this.client = client;
    this.clock = clock;
    this.caller = caller;
    this.rpId = rpId;
    this.origin = origin ?? `https://${rpId}`;
  }

  /** Makes the body of a request for a registration challenge. */
  registrationRequest(userId: string, members: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      rpId: this.rpId,
      user: { id: userId, name: `${userId}@example.com`, displayName: userId },
      identityProof: { method: 'password+otp', verifiedAt: this.clock.now().toISOString(), reference: 'session-8c1f' },
      ...members,
    };
  }

  requestRegistration(userId: string, members: Record<string, unknown> = {}): Promise<Answer<RegistrationChallenge>> {
    const body = this.registrationRequest(userId, members);
    return this.client.call(this.caller, 'POST', '/v1/challenges/registration', body);
  }

  requestAuthentication(members: Record<string, unknown> = {}): Promise<Answer<AuthenticationChallenge>> {
    const body = { rpId: this.rpId, ...members };
    return this.client.call(this.caller, 'POST', '/v1/challenges/authentication', body);
  }

  answerRegistration(challengeId: string, response: unknown, members = {}): Promise<Answer<Credential>> {
    const body = { challengeId, response, ...members };
    return this.client.call(this.caller, 'POST', '/v1/credentials', body);
  }

  answerAuthentication(challengeId: string, response: unknown, members = {}): Promise<Answer<Verification>> {
    const body = { challengeId, response, ...members };
    return this.client.call(this.caller, 'POST', '/v1/credentials/verify', body);
  }

  /** Runs a whole registration ceremony. Returns the answer to its second request. */
  async register(
    userId: string,
    authenticator: Authenticator,
    options: RegistrationOptions = {},
  ): Promise<Answer<Credential>> {
    const challenge = requireStatus(await this.requestRegistration(userId, options.challenge), 201);
    const response = authenticator.create(challenge.publicKey, options.origin ?? this.origin, options.interference);
    return this.answerRegistration(challenge.challengeId, response, options.answer);
  }

  async registered(
    userId: string,
    authenticator: Authenticator,
    options: RegistrationOptions = {},
  ): Promise<Credential> {
    return requireStatus(await this.register(userId, authenticator, options), 201);
  }

  /** Runs a whole authentication ceremony. Returns the answer to its second request. */
  async authenticate(authenticator: Authenticator, options: AuthenticationOptions = {}): Promise<Answer<Verification>> {
    const challenge = requireStatus(await this.requestAuthentication(options.challenge), 201);
    const response = authenticator.get(challenge.publicKey, options.origin ?? this.origin, options.interference);
    return this.answerAuthentication(challenge.challengeId, response, options.answer);
  }

  async authenticated(authenticator: Authenticator, options: AuthenticationOptions = {}): Promise<Verification> {
    return requireStatus(await this.authenticate(authenticator, options), 200);
  }
}

/** Returns the body of an answer. @throws Error when its status is not `status` */
export function requireStatus<Body>(answer: Answer<Body>, status: number): Body {
  if (answer.status !== status) {
    throw new Error(`expected ${String(status)}, got ${String(answer.status)}: ${JSON.stringify(answer.body)}`);
  }
  return answer.body;
}
