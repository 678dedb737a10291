import { findSetting } from '../explain/party-settings.js';
import type { Difference } from '../explain/setting-differences.js';
import type { Question } from '../parts/confirmation.js';
import type { Schemas } from '../shell/api.js';
import { formatSetting } from './setting-field.js';

interface Change {
  readonly rpId: string;
  readonly differences: readonly Difference[];
  readonly dryRun: Schemas['RelyingPartyDryRun'] | undefined;
  /** How many passkeys are active, if that is known. */
  readonly active: number | undefined;
  readonly needsApproval: boolean;
}

/** What somebody reads before a change is stored. */
export function describeStoring({ rpId, differences, dryRun, active, needsApproval }: Change): Omit<Question, 'run'> {
  const refused = (dryRun?.wouldRefuse ?? []).reduce(
    (sum, { credentials, purpose }) => sum + (purpose === undefined ? credentials : 0),
    0,
  );
  return {
    title: `Store the change of ${rpId}?`,
    consequences: [
      ...differences.map(describeDifference),
      refused === 0 ? 'No passkey that exists is refused by it.' : sayRefused(refused, active),
      'It counts on every replica within seconds, also for ceremonies that have begun.',
      ...(differences.some(({ weakens }) => weakens) ? [foretellApproval(needsApproval)] : []),
      'The audit log records it with your identity.',
    ],
    action: 'Store the change',
    isDangerous: refused > 0,
  };
}

function sayRefused(refused: number, active: number | undefined): string {
  const of = active === undefined ? '' : ` of ${active.toLocaleString('en')}`;
  const [noun, verb] = refused === 1 && active === undefined ? ['passkey', 'is'] : ['passkeys', 'are'];
  return `${refused.toLocaleString('en')}${of} ${noun} ${verb} refused from then on.`;
}

/** Such as: “Synced or device-bound: any → device-bound”. */
function describeDifference({ pointer, before, after }: Difference): string {
  const setting = findSetting(pointer);
  const [purpose] = /(?<=^\/policy\/purposes\/)[^/]+/.exec(pointer) ?? [];
  const name = setting?.title ?? pointer.split('/').at(-1)!;
  const of = purpose === undefined ? '' : ` for ${purpose.replaceAll('~1', '/').replaceAll('~0', '~')}`;
  return `${name}${of}: ${formatSetting(setting, before)} → ${formatSetting(setting, after)}`;
}

/** What becomes of a change that demands less. */
function foretellApproval(isNeeded: boolean): string {
  return isNeeded
    ? 'It demands less of ceremonies, so it waits for the approval of a second identity. Until then nothing changes.'
    : 'It demands less of ceremonies, and counts at once: the access policy asks for no approval.';
}
