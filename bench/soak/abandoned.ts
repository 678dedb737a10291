import { setTimeout as sleep } from 'node:timers/promises';
import { RP_ID } from '../contenders/contender.js';
import { Connection, type Target } from '../load/connection.js';

/** Begins sign-ins that nobody ends, like most that a page begins by itself: their challenges stay until they expire. */
export class AbandonedSignIns {
  private connection: Connection;
  private readonly pause: number;
  private running = true;
  private readonly ended: Promise<void>;

  private constructor(connection: Connection, perSecond: number) {
    this.connection = connection;
    this.pause = 1_000 / perSecond;
    this.ended = this.begin();
    // stop() reports the error, because nothing awaits it before.
    this.ended.catch(() => undefined);
  }

  static async start(target: Target, perSecond: number): Promise<AbandonedSignIns> {
    return new AbandonedSignIns(await Connection.open(target), perSecond);
  }

  async stop(): Promise<void> {
    this.running = false;
    await this.ended;
    this.connection.close();
  }

  private async begin(): Promise<void> {
    while (this.running) {
      this.connection = await this.connection.usable();
      await this.connection.call('POST', '/v1/challenges/authentication', { rpId: RP_ID });
      await sleep(this.pause);
    }
  }
}
