import type { Finding } from '../../src/reconciliation/judge-rows.js';
import { Authenticator } from '../../test/support/authenticator/authenticator.js';
import type { Credential, Problem } from '../../test/support/bodies.js';
import { requireStatus } from '../../test/support/ceremonies.js';
import type { ServiceProcess } from '../../test/support/service-process.js';

/** An answer to a challenge that the service has accepted. */
interface SpentAnswer {
  readonly challengeId: string;
  readonly response: unknown;
}

/** What the database holds of the changes of a witness. */
export interface Found {
  /** A passkey that was revoked. */
  readonly revoked: Credential['status'];
  /** A passkey that was registered. */
  readonly registered: 'there' | 'gone';
}

/**
 * Makes a change of each kind that a database may lose: a revocation, two sign-ins, a registration. Afterwards it tells
 * which of them came back.
 */
export class Witness {
  private readonly authenticator = new Authenticator();
  private readonly lateAuthenticator = new Authenticator();
  private readonly spent: SpentAnswer[] = [];
  private revoked: Credential | undefined;
  private late: Credential | undefined;

  /** Registers two passkeys, of which the changes take one away. */
  async prepare({ ceremonies }: ServiceProcess): Promise<void> {
    await ceremonies.registered('user-who-stays', this.authenticator);
    this.revoked = await ceremonies.registered('user-with-a-stolen-phone', new Authenticator());
  }

  /** Makes the changes. Each is acknowledged. */
  async change({ ceremonies, client }: ServiceProcess): Promise<void> {
    const { origin } = ceremonies;
    requireStatus(
      await client.call('auth-service', 'POST', `/v1/credentials/${this.revoked!.id}/revoke`, { reason: 'stolen' }),
      200,
    );
    for (let sign = 0; sign < 2; sign += 1) {
      const { challengeId, publicKey } = requireStatus(await ceremonies.requestAuthentication(), 201);
      const response = this.authenticator.get(publicKey, origin);
      requireStatus(await ceremonies.answerAuthentication(challengeId, response), 200);
      this.spent.push({ challengeId, response });
    }
    this.late = await ceremonies.registered('user-who-came-late', this.lateAuthenticator);
  }

  /** Sends an accepted answer once more, as somebody who recorded it would. */
  async replay({ ceremonies }: ServiceProcess): Promise<'accepted' | 'refused'> {
    const { challengeId, response } = this.spent.pop()!;
    const { status, body } = await ceremonies.answerAuthentication(challengeId, response);
    if (status === 200) return 'accepted';
    const { type } = body as unknown as Problem;
    if (!type.endsWith(':challenge-spent')) throw new Error(`a spent challenge is answered: ${JSON.stringify(body)}`);
    return 'refused';
  }

  /** True if the access policy lets auth-service act. */
  async isLetIn({ ceremonies }: ServiceProcess): Promise<boolean> {
    return (await ceremonies.requestAuthentication()).status !== 403;
  }

  async look({ ceremonies, client }: ServiceProcess): Promise<Found> {
    const path = `/v1/credentials/${this.revoked!.id}`;
    const { status: revoked } = requireStatus(await client.call<Credential>('auth-service', 'GET', path), 200);
    const { status } = await ceremonies.authenticate(this.lateAuthenticator);
    return { revoked, registered: status === 200 ? 'there' : 'gone' };
  }

  /** True if findings of `reconcile` name the passkey that should be revoked and the one that is missing. */
  isNamedIn(findings: readonly Finding[]): boolean {
    const has = (kind: Finding['kind'], { id }: Credential): boolean =>
      findings.some((finding) => finding.kind === kind && finding.subject === id);
    return has('row-outdated', this.revoked!) && has('row-missing', this.late!);
  }

  /** The user signs in, and registers one more passkey. */
  async signIn({ ceremonies }: ServiceProcess): Promise<void> {
    await ceremonies.authenticated(this.authenticator);
    await ceremonies.registered('user-who-is-new', new Authenticator());
  }
}
