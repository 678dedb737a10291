import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** One stat(2) each: it sees a file written in place, a rename over it and a symbolic link turned, on any file system. */
const INTERVAL_MS = 500;
/** What is being written is left alone until it has rested so long, but for at most so many times. */
const REST_MS = 100;
const MAX_RESTS = 10;
/** Files that were refused are tried again each so many looks: their time may come, or a fault of the disk pass. */
const LOOKS_PER_RETRY = 10;

export interface FileReports<Value> {
  /** What it throws refuses the value: the previous one stays. */
  taken(value: Value, previous: Value): void;
  refused(reason: string): void;
}

/**
 * What a few files say, kept current. A change is read whole, beside the work, and taken between two requests; files
 * that cannot be used change nothing. Files are often replaced one after the other, so what cannot be used is looked at
 * again before it is reported.
 */
export class WatchedFiles<Value> {
  /** Why the files that lie there now are not the ones that are used. */
  refused: string | undefined;
  private doubted = false;
  private looksSinceRefusal = 0;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;

  private constructor(
    private readonly paths: readonly string[],
    private readonly read: (held: Value | undefined) => Promise<Value>,
    private seen: string,
    private held: Value,
  ) {}

  /**
   * @param read gives `held` back when the files say what they said before
   * @throws what `read` throws: the first reading must succeed
   */
  static async open<Value>(
    paths: readonly string[],
    read: (held: Value | undefined) => Promise<Value>,
  ): Promise<WatchedFiles<Value>> {
    const seen = await fingerprintOf(paths);
    return new WatchedFiles(paths, read, seen, await read(undefined));
  }

  get value(): Value {
    return this.held;
  }

  watch(reports: FileReports<Value>): void {
    this.timer = setInterval(() => {
      this.looking ??= this.look(reports).finally(() => (this.looking = undefined));
    }, INTERVAL_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.looking;
  }

  /** Takes the files if they are others than last time. Never throws. */
  async look(reports: FileReports<Value>): Promise<void> {
    const seen = await this.atRest();
    const changed = seen !== this.seen;
    if (!changed && !this.isDue()) {
      this.doubted = false;
      return;
    }
    const reason = await this.take(reports);
    if (reason === undefined) {
      [this.seen, this.refused, this.doubted] = [seen, undefined, false];
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
    reports.refused(reason);
  }

  private isDue(): boolean {
    if (this.refused === undefined) return false;
    this.looksSinceRefusal += 1;
    return this.looksSinceRefusal % LOOKS_PER_RETRY === 0;
  }

  /** @returns why the files are refused */
  private async take(reports: FileReports<Value>): Promise<string | undefined> {
    const previous = this.held;
    try {
      this.held = await this.read(previous);
      if (this.held !== previous) reports.taken(this.held, previous);
      return undefined;
    } catch (error) {
      this.held = previous;
      return error instanceof Error ? error.message : String(error);
    }
  }

  private async atRest(): Promise<string> {
    let seen = await fingerprintOf(this.paths);
    for (let rests = 0; seen !== this.seen && rests < MAX_RESTS; rests += 1) {
      await sleep(REST_MS);
      const later = await fingerprintOf(this.paths);
      if (later === seen) break;
      seen = later;
    }
    return seen;
  }
}

async function fingerprintOf(paths: readonly string[]): Promise<string> {
  const fingerprints = await Promise.all(
    paths.map(async (path) => {
      try {
        const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
        return [dev, ino, size, mtimeNs, ctimeNs].join(':');
      } catch (error) {
        return String(error);
      }
    }),
  );
  return fingerprints.join(' ');
}
