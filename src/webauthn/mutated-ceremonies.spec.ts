import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createTargets } from '../../test/support/mutated-ceremonies.js';
import { mutations } from '../../test/support/mutations.js';
import { REASONS } from './refusal.js';

/** `npm run fuzz -- 100000` does the same for longer. */
const RUNS = 300;

describe.each((await createTargets()).map((target) => [target.name, target] as const))('%s', (_, target) => {
  it('is accepted as the authenticator made it', async () => {
    expect(await target.honest()).toBe('ACCEPTED');
  });

  it('is refused with a closed reason when a relevant byte differs', async () => {
    await fc.assert(
      fc.asyncProperty(mutations, async (changes) => {
        expect([...REASONS, 'unchanged']).toContain(await target.attack(changes));
      }),
      { numRuns: RUNS },
    );
  });
});
