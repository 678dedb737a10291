import { Gauge, type Registry } from 'prom-client';

/** The metrics of relying parties whose users move to a successor (src/successors). */
export class MigrationMetrics {
  readonly users;
  readonly endingUsers;

  constructor(registry: Registry) {
    const registers = [registry];
    this.users = new Gauge({
      name: 'passkey_migrating_users',
      help: 'Users of relying parties with a successor by where they have passkeys, at the last counts',
      labelNames: ['passkeys'],
      registers,
    });
    this.endingUsers = new Gauge({
      name: 'passkey_ending_users',
      help: 'Users with passkeys only at relying parties that end within 14 days, at the last counts',
      registers,
    });
  }
}
