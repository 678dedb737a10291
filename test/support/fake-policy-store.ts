import type { AccessPolicy } from '../../src/access/access-policy.js';
import type { PolicyStore } from '../../src/access/policy-store.js';

type Store = Pick<PolicyStore, 'policy' | 'refused'>;

/** Keeps the access policy that a test gives. */
export class FakePolicyStore implements Store {
  refused: string | undefined;

  constructor(readonly policy: AccessPolicy) {}

  get service(): PolicyStore {
    return this as Store as PolicyStore;
  }
}
