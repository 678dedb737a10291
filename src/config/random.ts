import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const POOL_BYTES = 4_096;
const UUID_BYTES = 16;

const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/**
 * Takes random bytes from a pool that the system's generator fills, because a call of the generator costs more than all
 * the bytes of a request. The pool keeps no byte that was taken.
 *
 * @param count at most 4,096
 */
export function takeRandomBytes(count: number): Buffer {
  if (used + count > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const taken = Buffer.from(pool.subarray(used, used + count));
  pool.fill(0, used, used + count);
  used += count;
  return taken;
}

/** Makes a UUIDv7 of a time (RFC 9562 §5.7), lower case. */
export function makeUuidv7(time: Date): string {
  return uuidv7({ msecs: time.getTime(), random: takeRandomBytes(UUID_BYTES) });
}
