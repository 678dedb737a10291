import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { type BrowserKey, readBrowserKeys, writeBrowserKeys } from '../credentials/browser-keys.js';
import type { CredentialEntity } from '../credentials/credential.entity.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { Refusal } from '../webauthn/refusal.js';
import { judgeBrowserKey, type JudgedBrowserKey } from './browser-key-rules.js';

/** Remembers the browser-bound keys of passkeys, in the sealed row of the passkey. */
@Injectable()
export class BrowserKeysService {
  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly credentials: CredentialsService,
  ) {}

  /** @throws Problem credential-unknown */
  async list(context: AuthorizedContext, id: string): Promise<readonly BrowserKey[]> {
    return readBrowserKeys(await this.credentials.get(context, id));
  }

  /**
   * Judges the key of a verified payment, and remembers a new one. That commits before the payment does: the passkey has
   * signed the key, whatever becomes of the payment.
   *
   * @returns the credential as it is then
   * @throws Refusal browser-key-denied, credential-unknown
   */
  async judge(
    context: AuthorizedContext,
    credential: CredentialEntity,
    thumbprint: string | undefined,
    { browserKeys }: Pick<RelyingPartyPolicy, 'browserKeys'>,
  ): Promise<{ readonly credential: CredentialEntity; readonly judged: JudgedBrowserKey }> {
    const judged = judgeBrowserKey(readBrowserKeys(credential), thumbprint, browserKeys);
    if (thumbprint === undefined || !judged.remember) return { credential, judged };
    let again = judged;
    const changed = await this.credentials
      .change(context, credential.id, judged.state === 'new' ? 'browser-key.add' : 'browser-key.trust', (row) => {
        // Another payment may have added a key since the row was read.
        again = judgeBrowserKey(readBrowserKeys(row), thumbprint, browserKeys);
        const remember = again.remember ?? 'trusted';
        this.put(row, thumbprint, remember);
        return { browser_key: thumbprint, browser_key_state: remember };
      })
      .catch((error: unknown) => {
        const erased = error instanceof Problem && error.slug === 'credential-unknown';
        throw erased
          ? new Refusal('credential-unknown', 'the passkey was erased while the answer was verified')
          : error;
      });
    return { credential: changed, judged: again };
  }

  /** @throws Problem credential-unknown, not-found; credential-state if the key is revoked, or trusted already */
  async trust(context: AuthorizedContext, id: string, thumbprint: string, reason: string): Promise<BrowserKey> {
    return this.transition(context, id, thumbprint, 'trusted', reason);
  }

  /** @throws Problem credential-unknown, not-found; credential-state if the key is revoked already */
  async revoke(context: AuthorizedContext, id: string, thumbprint: string, reason: string): Promise<BrowserKey> {
    return this.transition(context, id, thumbprint, 'revoked', reason);
  }

  private async transition(
    context: AuthorizedContext,
    id: string,
    thumbprint: string,
    to: 'trusted' | 'revoked',
    reason: string,
  ): Promise<BrowserKey> {
    const type = to === 'trusted' ? 'browser-key.trust' : 'browser-key.revoke';
    const changed = await this.credentials.change(context, id, type, (row) => {
      const known = findKey(row, thumbprint);
      if (!known) throw new Problem('not-found', { detail: 'the passkey has no browser-bound key of this thumbprint' });
      if (known.state === to || known.state === 'revoked')
        throw new Problem('credential-state', { detail: `a browser-bound key that is ${known.state} cannot be ${to}` });
      this.put(row, thumbprint, to);
      return { browser_key: thumbprint, browser_key_state: to, status_reason: reason };
    });
    return findKey(changed, thumbprint)!;
  }

  private put(row: CredentialEntity, thumbprint: string, state: BrowserKey['state']): void {
    const keys = readBrowserKeys(row);
    const changedAt = this.clock.now().toISOString();
    const addedAt = findKey(row, thumbprint)?.addedAt ?? changedAt;
    const key: BrowserKey = { thumbprint, state, addedAt, changedAt };
    const others = keys.filter((each) => each.thumbprint !== thumbprint);
    writeBrowserKeys(
      row,
      [...others, key].toSorted((a, b) => (a.addedAt < b.addedAt ? -1 : 1)),
    );
  }
}

function findKey(row: CredentialEntity, thumbprint: string): BrowserKey | undefined {
  return readBrowserKeys(row).find((key) => key.thumbprint === thumbprint);
}
