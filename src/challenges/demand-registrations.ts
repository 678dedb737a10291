import { Problem } from '../http/problem.js';
import type { Succession } from '../relying-parties/successor.js';

/**
 * Demands that the relying party registers passkeys: its successor may take over that first.
 *
 * @throws Problem policy-rejected
 */
export function demandRegistrations({ rpId, successor }: Succession): void {
  if (successor?.registrations !== 'refuse') return;
  throw new Problem('policy-rejected', {
    reason: 'registration-at-successor',
    detail: `${rpId} registers no passkeys any more: ${successor.rpId} succeeds it`,
    advice: `Register the passkey at ${successor.rpId}, on a page of its origins.`,
  });
}
