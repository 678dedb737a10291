import type { LoggerService } from '@nestjs/common';
import { type Logger, pino, type TransportSingleOptions } from 'pino';

/** For a person at a terminal in development; production writes JSON. */
const PRETTY: TransportSingleOptions = {
  target: 'pino-pretty',
  options: { translateTime: 'HH:MM:ss', ignore: 'pid,hostname', singleLine: true },
};

export function createLogger(production: boolean): Logger {
  const level = production ? 'info' : 'warn';
  return pino({ level, timestamp: pino.stdTimeFunctions.isoTime, ...(!production && { transport: PRETTY }) });
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
