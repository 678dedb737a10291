import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { MAX_CREDENTIALS_PER_USER } from '../relying-parties/relying-party-policy.js';
import { createListShape, type ListShape } from './decoy.js';
import { isCredentialIdLength, selectTransports, sortTransports } from './descriptors.js';
import { UserHandleRepository } from './user-handle.repository.js';

const KEPT_MS = 600_000;

interface Held {
  readonly shapes: readonly ListShape[];
  readonly readAt: number;
}

/** Caches the shapes of each relying party's lists for ten minutes. */
@Injectable()
export class DecoyShapes {
  private readonly held = new Map<string, Held>();
  private readonly reading = new Map<string, Promise<readonly ListShape[]>>();

  constructor(
    private readonly users: UserHandleRepository,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Waits for the database only on the first call for a relying party. Later calls get the cached shapes and renew them
   * in the background.
   */
  async getShapes(rpId: string): Promise<readonly ListShape[]> {
    const held = this.held.get(rpId);
    if (held && this.clock.now().getTime() < held.readAt + KEPT_MS) return held.shapes;
    const read = this.reading.get(rpId) ?? this.read(rpId);
    if (!held) return read;
    // If this read fails, a later call reads again.
    read.catch(() => undefined);
    return held.shapes;
  }

  private read(rpId: string): Promise<readonly ListShape[]> {
    const read = this.query(rpId).finally(() => this.reading.delete(rpId));
    this.reading.set(rpId, read);
    return read;
  }

  private async query(rpId: string): Promise<readonly ListShape[]> {
    const readAt = this.clock.now().getTime();
    const rows = await this.users.countListShapes(rpId);
    const shapes = rows
      .map(({ list, users }) => createListShape(toShown(list), users))
      .filter(({ list }) => list.length > 0);
    this.held.set(rpId, { shapes, readAt });
    return shapes;
  }
}

/** Shortens and cleans a list as `makeDescriptors` does, so that a row that SQL changed gives the decoys nothing of its own. */
function toShown(list: ListShape['list']): ListShape['list'] {
  return list
    .slice(0, MAX_CREDENTIALS_PER_USER)
    .filter(({ bytes }) => isCredentialIdLength(bytes))
    .map((shape) => ({ ...shape, transports: sortTransports(selectTransports(shape.transports)) }));
}
