import { write, writeSync } from 'node:fs';
import { Counter, type Registry } from 'prom-client';

/**
 * Lines are written together, when they have so many bytes or after this pause: each write needs a thread and costs
 * half a millisecond, more than many lines.
 */
const ENOUGH_BYTES = 65_536;
const PAUSE_MS = 200;
/** Lines beyond so many waiting bytes are lost, because the reader has stalled. */
const MOST_BYTES = 1_048_576;
/** The time until a write to a full pipe is tried again. */
const FULL_PIPE_MS = 50;

/**
 * Writes lines to a file descriptor. If the disk is full, the descriptor is closed or its reader has stalled, lines are
 * lost and counted, and the process goes on without waiting. Lines are collected for a moment and written together.
 *
 * It replaces pino's own destination, whose `flushSync` blocks and retries for ever when the disk is full.
 */
export class LogOutput {
  /** The number of lines since the start that could not be written. */
  lost = 0;
  /** The reason why lines are lost, such as ENOSPC; undefined if the last write succeeded. */
  failure: string | undefined;
  private waiting = '';
  private bytes = 0;
  private timer: NodeJS.Timeout | undefined;
  private writing = false;
  private due = false;
  /** True if the last write ended within a line. */
  private torn = false;

  constructor(private readonly fd: number) {}

  /** @param line a line with its line end */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.bytes + bytes > MOST_BYTES) {
      this.countLoss(1, 'the reader has stalled');
      return;
    }
    this.waiting += line;
    this.bytes += bytes;
    if (this.bytes >= ENOUGH_BYTES) this.flush();
    else
      this.timer ??= setTimeout(() => {
        this.flush();
      }, PAUSE_MS).unref();
  }

  /** Begins to write the waiting lines. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.due = this.writing;
    if (!this.writing && this.bytes > 0) this.writeBytes(this.takeWaiting());
  }

  /** Writes the waiting lines synchronously, for the end of the process, when nothing else runs any more. */
  flushAtExit(): void {
    try {
      for (let rest = this.takeWaiting(); rest.length > 0;) rest = rest.subarray(writeSync(this.fd, rest));
    } catch {
      // The process ends: a report of this error would be lost too.
    }
  }

  countLoss(lines: number, reason: string): void {
    this.lost += lines;
    this.failure = reason;
  }

  private takeWaiting(): Buffer {
    const taken = Buffer.from((this.torn ? '\n' : '') + this.waiting);
    [this.waiting, this.bytes, this.torn] = ['', 0, false];
    return taken;
  }

  private writeBytes(rest: Buffer): void {
    this.writing = true;
    write(this.fd, rest, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => {
          this.writeBytes(rest);
        }, FULL_PIPE_MS).unref();
      } else if (error) {
        this.countLoss(countLines(rest), error.code ?? error.message);
        this.continueWriting();
      } else if (written < rest.length) {
        this.torn = rest[written - 1] !== LINE_END;
        this.writeBytes(rest.subarray(written));
      } else {
        [this.failure, this.torn] = [undefined, false];
        this.continueWriting();
      }
    });
  }

  private continueWriting(): void {
    this.writing = false;
    if (this.due || this.bytes >= ENOUGH_BYTES) this.flush();
  }
}

const LINE_END = 0x0a;

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (const byte of bytes) if (byte === LINE_END) lines += 1;
  return lines;
}

/** The output of the process's log. */
export const standardOutput = new LogOutput(1);
process.once('exit', () => {
  standardOutput.flushAtExit();
});

/**
 * Keeps the process alive when its standard output or error cannot be written, because the disk is full or the reader
 * has gone. Node would end it: console.log and Node's own warnings write there too.
 */
export function surviveStreamErrors(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      standardOutput.countLoss(1, error.code ?? error.message);
    });
  }
}

/** Adds the metric of lost log lines. */
export function registerLostLinesMetric(registry: Registry): void {
  new Counter({
    name: 'passkey_log_lines_lost_total',
    help: 'Log lines that could not be written',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(standardOutput.lost);
    },
  });
}
