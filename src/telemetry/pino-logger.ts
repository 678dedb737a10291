import type { LoggerService } from '@nestjs/common';
import { type Logger, type LoggerOptions, pino, type TransportSingleOptions } from 'pino';

/** For a person at a terminal in development; production writes JSON. */
const PRETTY: TransportSingleOptions = {
  target: 'pino-pretty',
  options: { translateTime: 'HH:MM:ss', ignore: 'pid,hostname', singleLine: true },
};

const WARN = 40;
/** A line of each request, written one by one, costs more than the rest of the line. Bytes, milliseconds. */
const BUFFER = { minLength: 8_192, periodicFlush: 200 };

export function createLogger(production: boolean): Logger {
  const timestamp = pino.stdTimeFunctions.isoTime;
  return production
    ? bufferedLogger(pino.destination({ dest: 1, sync: true, ...BUFFER }), { level: 'info', timestamp })
    : pino({ level: 'warn', timestamp, transport: PRETTY });
}

/** Lines wait until there are many of them, or for a moment; a warning, an error and the end of the process wait for nothing. */
export function bufferedLogger(destination: ReturnType<typeof pino.destination>, options: LoggerOptions): Logger {
  process.once('exit', () => {
    destination.flushSync();
  });
  const logMethod: NonNullable<LoggerOptions['hooks']>['logMethod'] = function (args, method, level) {
    method.apply(this, args);
    if (level >= WARN) destination.flushSync();
  };
  return pino({ ...options, hooks: { logMethod } }, destination);
}

/** Nest's logger in terms of pino's: an object is fields, its `message` the message. */
export class PinoLogger implements LoggerService {
  constructor(private readonly pino: Logger) {}

  /** What Nest tells of its start is no news to an operator. */
  log(message: unknown, ...context: unknown[]): void {
    this.write('debug', message, context);
  }

  warn(message: unknown, ...context: unknown[]): void {
    this.write('warn', message, context);
  }

  error(message: unknown, ...context: unknown[]): void {
    this.write('error', message, context);
  }

  debug(message: unknown, ...context: unknown[]): void {
    this.write('debug', message, context);
  }

  private write(level: 'info' | 'warn' | 'error' | 'debug', message: unknown, context: unknown[]): void {
    const name = context.at(-1);
    if (typeof message === 'object' && message !== null) {
      const { message: text, ...fields } = message as { message?: string };
      this.pino[level]({ context: name, ...fields }, text ?? '');
    } else {
      this.pino[level](
        { context: name, ...(context.length > 1 && { details: context.slice(0, -1) }) },
        String(message),
      );
    }
  }
}
