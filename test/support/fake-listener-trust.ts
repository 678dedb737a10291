import type { ListenerTrust } from '../../src/identity/listener-trust.js';
import type { TrustMaterial } from '../../src/identity/trust-material.js';

type Trust = Pick<ListenerTrust, 'epoch' | 'material' | 'refused'>;

/** Trusts what a test gives. */
export class FakeListenerTrust implements Trust {
  refused: string | undefined;

  /** @param parts the parts of the trust material that the test needs */
  constructor(
    public epoch: number,
    private parts: Partial<TrustMaterial> = {},
  ) {}

  get material(): TrustMaterial {
    return this.parts as TrustMaterial;
  }

  set material(parts: Partial<TrustMaterial>) {
    this.parts = parts;
  }

  get service(): ListenerTrust {
    return this as Trust as ListenerTrust;
  }

  /** Begins the next epoch. */
  reload(parts: Partial<TrustMaterial>): void {
    this.epoch += 1;
    this.parts = parts;
  }
}
