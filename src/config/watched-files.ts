import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

/**
 * The time between two looks at the files. A look is one stat(2) for each file. It notices a write in place, a rename
 * over the file and a changed symbolic link, on any file system.
 */
const INTERVAL_MS = 500;
/** A look waits until the files have not changed for REST_MS, but waits at most MAX_RESTS times. */
const REST_MS = 100;
const MAX_RESTS = 10;
/** Refused files are read again after this many looks: a certificate may become valid, or a disk fault may pass. */
const LOOKS_PER_RETRY = 10;

export interface FileListener<Value> {
  /**
   * Receives a new value. If it throws, the value is refused and the previous one stays.
   *
   * @param changed the paths of the files that are not those of the previous value
   */
  onReloaded(value: Value, previous: Value, changed: readonly string[]): void;
  onRefused(reason: string): void;
}

/**
 * Keeps the value that a few files describe current. A change is read completely while the service goes on, and
 * replaces the value between two requests. Files that cannot be used change nothing. Operators often replace several
 * files one after the other, so unusable files are read once more before they are reported.
 */
export class WatchedFiles<Value> {
  /** The reason why the current files are refused; undefined if they are in use. */
  refused: string | undefined;
  private doubted = false;
  private looksSinceRefusal = 0;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;

  /** What the files looked like when the value in use was read. */
  private inUse: readonly string[];

  private constructor(
    private readonly paths: readonly string[],
    private readonly read: (held: Value | undefined) => Promise<Value>,
    private seen: readonly string[],
    private held: Value,
    private readonly rest: () => Promise<void>,
  ) {
    this.inUse = seen;
  }

  /**
   * @param read returns `held` itself if the files describe the same value as before
   * @param rest waits before the next comparison of files that change
   * @throws the error of `read`: the first reading must succeed
   */
  static async open<Value>(
    paths: readonly string[],
    read: (held: Value | undefined) => Promise<Value>,
    rest = (): Promise<void> => sleep(REST_MS),
  ): Promise<WatchedFiles<Value>> {
    const seen = await fingerprintFiles(paths);
    return new WatchedFiles(paths, read, seen, await read(undefined), rest);
  }

  get value(): Value {
    return this.held;
  }

  watch(reports: FileListener<Value>): void {
    this.timer = setInterval(() => {
      this.looking ??= this.checkFiles(reports).finally(() => (this.looking = undefined));
    }, INTERVAL_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  /** Reads the files if they have changed since the last look. Never throws. */
  async checkFiles(reports: FileListener<Value>): Promise<void> {
    const seen = await this.waitUntilAtRest();
    const changed = !isDeepStrictEqual(seen, this.seen);
    if (!changed && !this.isRetryDue()) {
      this.doubted = false;
      return;
    }
    const reason = await this.readFiles(reports, seen);
    if (reason === undefined) {
      [this.seen, this.inUse, this.refused, this.doubted] = [seen, seen, undefined, false];
      return;
    }
    if (changed && !this.doubted) {
      this.doubted = true;
      return;
    }
    this.doubted = false;
    this.seen = seen;
    if (!changed && reason === this.refused) return;
    this.refused = reason;
    reports.onRefused(reason);
  }

  private isRetryDue(): boolean {
    if (this.refused === undefined) return false;
    this.looksSinceRefusal += 1;
    return this.looksSinceRefusal % LOOKS_PER_RETRY === 0;
  }

  /** @returns the reason why the files are refused; undefined if they are in use now */
  private async readFiles(reports: FileListener<Value>, seen: readonly string[]): Promise<string | undefined> {
    const previous = this.held;
    try {
      this.held = await this.read(previous);
      const changed = this.paths.filter((_, index) => seen[index] !== this.inUse[index]);
      if (this.held !== previous) reports.onReloaded(this.held, previous, changed);
      return undefined;
    } catch (error) {
      this.held = previous;
      return error instanceof Error ? error.message : String(error);
    }
  }

  private async waitUntilAtRest(): Promise<readonly string[]> {
    let seen = await fingerprintFiles(this.paths);
    for (let rests = 0; !isDeepStrictEqual(seen, this.seen) && rests < MAX_RESTS; rests += 1) {
      await this.rest();
      const later = await fingerprintFiles(this.paths);
      if (isDeepStrictEqual(later, seen)) break;
      seen = later;
    }
    return seen;
  }
}

function fingerprintFiles(paths: readonly string[]): Promise<readonly string[]> {
  return Promise.all(
    paths.map(async (path) => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join(':');
      } catch (error) {
        return String(error);
      }
    }),
  );
}
