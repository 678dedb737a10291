import { setTimeout as pause } from 'node:timers/promises';
import { type PasskeyManager, PasskeyProblem, PasskeyTransportError } from '../../clients/typescript/src/client.ts';
import { parseCheckpoint } from '../../src/tlog/checkpoint.js';
import { ExportError, LineSplitter } from '../../src/tlog/lines.js';
import { parseNote } from '../../src/tlog/signed-note.js';

/** A place of the log: an event, or one whose event retention has erased or belongs to another relying party. */
export interface LoggedLeaf {
  readonly kind: string;
  readonly leafIndex: number;
  readonly event?: Readonly<Record<string, unknown>>;
}

export interface FollowOptions {
  /** The first leaf. */
  readonly from: number;
  /** False: ends where the log ends now. */
  readonly follow: boolean;
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  /** Called when the service stops to answer, and with undefined when it answers again. */
  readonly onTrouble: (message: string | undefined) => void;
}

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 10_000;
/** How many of its own exports it remembers. The event of each comes soon after it. */
const MAX_OWN = 1_000;

/**
 * Follows the log by the places of its leaves. They have no gap and never change, so each event comes once, in its order, also
 * when the service is replaced or the connection breaks in the middle of a line.
 *
 * The service records each export, and the log would never come to rest. So it looks at the size of the log, which records
 * nothing, and exports only when there is more than the events of its own exports.
 */
export class LogFollower {
  /** The leaf that comes next. */
  next: number;
  readonly #client: PasskeyManager;
  readonly #options: FollowOptions;
  /** How many events of its own exports have not come yet. */
  #awaited = 0;
  readonly #own = new Set<string>();
  #caller: string | undefined;

  constructor(client: PasskeyManager, options: FollowOptions) {
    [this.#client, this.#options] = [client, options];
    this.next = options.from;
  }

  /** @throws PasskeyProblem, ExportError if the log is shorter than it was or lacks an event */
  async *follow(): AsyncGenerator<LoggedLeaf> {
    const { follow, intervalMs, signal } = this.#options;
    while (!signal.aborted) {
      const size = await this.#insist(() => readSize(this.#client, signal));
      if (size === undefined) return;
      if (size < this.next)
        throw new ExportError(
          `The log has ${String(size)} leaves, and ${String(this.next)} were there: it was cut or restored`,
        );
      if (size > this.next + (follow ? this.#awaited : 0)) yield* this.#readTo(size);
      if (!follow) return;
      await this.#rest(intervalMs);
    }
  }

  /** True if the event is that of an export of this follower. */
  isOwn({ event }: LoggedLeaf): boolean {
    const { metadata, actor, unmapped } = (event ?? {}) as {
      metadata?: { event_code?: string };
      actor?: { app_uid?: string };
      unmapped?: { filter?: { from?: string; to?: string } };
    };
    if (metadata?.event_code !== 'audit.export' || actor?.app_uid !== this.#caller) return false;
    return this.#own.has(`${unmapped?.filter?.from ?? ''}-${unmapped?.filter?.to ?? ''}`);
  }

  async *#readTo(size: number): AsyncGenerator<LoggedLeaf> {
    const { signal } = this.#options;
    this.#caller ??= await this.#insist(async () => (await this.#client.getCaller({ signal })).id);
    for (let wait = FIRST_PAUSE_MS; this.next < size && !signal.aborted; wait = Math.min(2 * wait, MAX_PAUSE_MS)) {
      try {
        yield* this.#export(size);
        this.#options.onTrouble(undefined);
        if (this.next < size) await this.#rest(wait);
      } catch (error) {
        if (!this.#mayPass(error)) throw error;
        await this.#rest(wait);
      }
    }
  }

  async *#export(to: number): AsyncGenerator<LoggedLeaf> {
    const { signal } = this.#options;
    const range = { from: String(this.next), to: String(to) };
    const name = `${range.from}-${range.to}`;
    this.#own.add(name);
    for (const oldest of this.#own) if (this.#own.size > MAX_OWN) this.#own.delete(oldest);
    const stream = await this.#client.exportAuditLog(range, { signal });
    this.#awaited += 1;
    const splitter = new LineSplitter();
    for await (const chunk of readChunks(stream as AsyncIterable<Buffer>))
      for (const text of splitter.push(chunk)) {
        const leaf = JSON.parse(text) as LoggedLeaf;
        if (leaf.kind === 'proof') continue;
        if (leaf.leafIndex !== this.next)
          throw new ExportError(
            `Leaf ${String(this.next)} is missing: leaf ${String(leaf.leafIndex)} came in its place`,
          );
        this.next += 1;
        // For a caller that is limited to relying parties, its own exports look like the events of others.
        if (leaf.event === undefined || this.isOwn(leaf)) this.#awaited = Math.max(0, this.#awaited - 1);
        yield leaf;
      }
    // The event of this export comes after what it has shown.
    this.#awaited = Math.max(1, this.#awaited);
  }

  /** Calls the service until it answers. @returns undefined if the user wants no more */
  async #insist<Result>(call: () => Promise<Result>): Promise<Result | undefined> {
    for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(2 * wait, MAX_PAUSE_MS)) {
      if (this.#options.signal.aborted) return undefined;
      try {
        const result = await call();
        this.#options.onTrouble(undefined);
        return result;
      } catch (error) {
        if (!this.#mayPass(error)) throw error;
        await this.#rest(wait);
      }
    }
  }

  /** True if the service may answer later; it says so to the user. */
  #mayPass(error: unknown): boolean {
    if (this.#options.signal.aborted) return true;
    const passes =
      error instanceof PasskeyTransportError ||
      error instanceof BrokenAnswer ||
      (error instanceof PasskeyProblem && (error.status >= 500 || error.status === 429));
    if (!passes || !this.#options.follow) return false;
    this.#options.onTrouble(error.message);
    return true;
  }

  async #rest(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#options.signal }).catch(() => undefined);
  }
}

/** The connection broke in the middle of an answer. */
class BrokenAnswer extends Error {}

async function* readChunks(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* stream;
  } catch (error) {
    throw new BrokenAnswer(`the connection broke in the middle of an answer (${(error as Error).message})`);
  }
}

/** The number of leaves of the log. */
export async function readSize(client: PasskeyManager, signal: AbortSignal): Promise<number> {
  return parseCheckpoint(parseNote(await client.getAuditCheckpoint({ signal })).text).size;
}
