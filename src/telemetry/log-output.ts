import { write, writeSync } from 'node:fs';
import { Counter, type Registry } from 'prom-client';

/** Each write goes through a thread of its own and costs half a millisecond, more than many lines. Bytes, milliseconds. */
const ENOUGH_BYTES = 65_536;
const PAUSE_MS = 200;
/** Lines that wait beyond this are lost: somebody has stopped reading them. Bytes. */
const MOST_BYTES = 1_048_576;
/** The time until a pipe that was full is tried again: milliseconds. */
const FULL_PIPE_MS = 50;

/**
 * Writes lines to a file descriptor. It may be full, closed, or read by nobody: that loses lines, which are counted, and neither
 * ends the process nor keeps it waiting. Lines wait for each other, for a moment, before they are written.
 *
 * pino's own destination does not serve here: its `flushSync` tries for ever, and blocks, when the disk is full.
 */
export class LogOutput {
  /** How many lines could not be written since the start. */
  lost = 0;
  /** Why lines are being lost, such as ENOSPC; undefined: the last write succeeded. */
  failure: string | undefined;
  private waiting = '';
  private bytes = 0;
  private timer: NodeJS.Timeout | undefined;
  private writing = false;
  private due = false;
  /** True if the last write ended within a line. */
  private torn = false;

  constructor(private readonly fd: number) {}

  /** @param line with its line end */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.bytes + bytes > MOST_BYTES) {
      this.lose(1, 'nobody reads');
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

  /** Begins to write the lines that wait. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.due = this.writing;
    if (!this.writing && this.bytes > 0) this.put(this.take());
  }

  /** Writes the lines that wait before it returns, for the end of the process, when nothing else runs any more. */
  flushAtExit(): void {
    try {
      for (let rest = this.take(); rest.length > 0;) rest = rest.subarray(writeSync(this.fd, rest));
    } catch {
      // Nobody is left to read about it.
    }
  }

  lose(lines: number, reason: string): void {
    this.lost += lines;
    this.failure = reason;
  }

  private take(): Buffer {
    const taken = Buffer.from((this.torn ? '\n' : '') + this.waiting);
    [this.waiting, this.bytes, this.torn] = ['', 0, false];
    return taken;
  }

  private put(rest: Buffer): void {
    this.writing = true;
    write(this.fd, rest, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => {
          this.put(rest);
        }, FULL_PIPE_MS).unref();
      } else if (error) {
        this.lose(countLines(rest), error.code ?? error.message);
        this.next();
      } else if (written < rest.length) {
        this.torn = rest[written - 1] !== LINE_END;
        this.put(rest.subarray(written));
      } else {
        [this.failure, this.torn] = [undefined, false];
        this.next();
      }
    });
  }

  private next(): void {
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

/** The process's log goes here. */
export const standardOutput = new LogOutput(1);
process.once('exit', () => {
  standardOutput.flushAtExit();
});

/**
 * Node ends a process whose standard output or error cannot be written, because the disk is full or its reader is gone.
 * This one goes on: console.log and the warnings of Node write there, too.
 */
export function surviveStandardStreams(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      standardOutput.lose(1, error.code ?? error.message);
    });
  }
}

/** Adds a metric of the process's own log. */
export function countLostLines(registry: Registry): void {
  new Counter({
    name: 'passkey_log_lines_lost_total',
    help: 'Lines of the log that could not be written',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(standardOutput.lost);
    },
  });
}
