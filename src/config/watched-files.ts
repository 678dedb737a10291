import { stat } from 'node:fs/promises';

/** One stat(2) each: it sees a file written in place, a rename over it and a symbolic link turned, on any file system. */
const INTERVAL_MS = 500;

export interface FileReports<Value> {
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
  private seen: string | undefined;
  private doubted = false;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  private constructor(
    private readonly paths: readonly string[],
    private readonly read: (held: Value | undefined) => Promise<Value>,
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
    const files = new WatchedFiles(paths, read, await read(undefined));
    files.seen = seen;
    return files;
  }

  get value(): Value {
    return this.held;
  }

  watch(reports: FileReports<Value>): void {
    this.timer = setInterval(() => {
      this.running = this.running.then(() => this.look(reports));
    }, INTERVAL_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  /** Takes the files if they are others than last time. Never throws. */
  async look(reports: FileReports<Value>): Promise<void> {
    const seen = await fingerprintOf(this.paths);
    if (seen === this.seen) return;
    const previous = this.held;
    try {
      this.held = await this.read(previous);
    } catch (error) {
      const settled = this.doubted;
      this.doubted = !settled;
      if (!settled) return;
      this.seen = seen;
      this.refused = error instanceof Error ? error.message : String(error);
      reports.refused(this.refused);
      return;
    }
    this.doubted = false;
    this.seen = seen;
    this.refused = undefined;
    if (this.held !== previous) reports.taken(this.held, previous);
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
