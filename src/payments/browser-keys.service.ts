import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { type BrowserKey, readBrowserKeys, writeBrowserKey } from '../credentials/browser-keys.js';
import type { CredentialEntity } from '../credentials/credential.entity.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';

/** Lists, trusts and revokes the browser-bound keys that payments have added to passkeys. */
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
      row.browserKeys = writeBrowserKey(row, { thumbprint, state: to }, this.clock.now());
      return { browser_key: thumbprint, browser_key_state: to, status_reason: reason };
    });
    return findKey(changed, thumbprint)!;
  }
}

function findKey(row: CredentialEntity, thumbprint: string): BrowserKey | undefined {
  return readBrowserKeys(row).find((key) => key.thumbprint === thumbprint);
}
