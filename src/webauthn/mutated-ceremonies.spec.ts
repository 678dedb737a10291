import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createTargets } from '../../test/support/mutated-ceremonies.js';
import { createPaymentTargets } from '../../test/support/mutated-payments.js';
import { REASONS } from './refusal.js';

/** `npm run fuzz -- 100000` does the same for longer. */
const RUNS = 300;

const targets = [...(await createTargets()), ...createPaymentTargets()];

describe.each(targets.map((target) => [target.name, target] as const))('%s', (_, target) => {
  it('is accepted as the authenticator made it', async () => {
    expect(await target.honest()).toBe('ACCEPTED');
  });

  it('is refused with a closed reason when a relevant byte differs', async () => {
    await fc.assert(
      fc.asyncProperty(target.attacks, async (attack) => {
        expect([...REASONS, 'unchanged']).toContain(await attack.run());
      }),
      { numRuns: RUNS },
    );
  });
});
