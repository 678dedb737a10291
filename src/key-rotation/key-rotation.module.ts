/**
 * Replacing the keys that seal (docs/adr/0031-keys-are-sets.md): PASSKEY_BINDING_KEY_FILE holds a set, whose first key seals.
 *
 *  - key-registration.ts tells the database and the log which keys there are, and which of them seals.
 *
 * src/reconciliation seals rows again, page by page. `npm run keys` (commands/keys.ts) shows how far that is, changes the
 * file, and retires a key that no row needs.
 */
import { Module } from '@nestjs/common';
import { ApprovalsModule } from '../approvals/approvals.module.js';
import { ApprovalsService } from '../approvals/approvals.service.js';
import { KeyRegistration } from './key-registration.js';

@Module({ imports: [ApprovalsModule], providers: [KeyRegistration] })
export class KeyRotationModule {
  /** Whoever runs `npm run keys` retires the key when it is approved. The service has no right to. */
  constructor(approvals: ApprovalsService) {
    approvals.define('seal-keys:force-retire', () => Promise.resolve());
  }
}
