import type { LoggerService } from '@nestjs/common';
import { type Logger, type LoggerOptions, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Config } from '../config/config.js';
import { type LogOutput, standardOutput } from './log-output.js';

/** The format for a person at a terminal in development. Production writes JSON. */
const PRETTY = { translateTime: 'HH:MM:ss', ignore: 'pid,hostname', singleLine: true };

const WARN = 40;

export function createLogger({ production, logLevel: level }: Pick<Config, 'production' | 'logLevel'>): Logger {
  return createBufferedLogger(standardOutput, { level }, production ? undefined : prettyFactory(PRETTY));
}

/**
 * Creates a logger whose lines are collected for a moment and written together. A warning or an error is written at
 * once.
 *
 * @param format turns a line of JSON into the text to write
 */
export function createBufferedLogger(
  output: LogOutput,
  options: LoggerOptions,
  format?: (line: string) => string,
): Logger {
  const logMethod: NonNullable<LoggerOptions['hooks']>['logMethod'] = function (args, method, level) {
    method.apply(this, args);
    if (level >= WARN) output.flush();
  };
  const destination = format
    ? {
        write: (line: string) => {
          output.write(format(line));
        },
      }
    : output;
  const timestamp = pino.stdTimeFunctions.isoTime;
  return pino({ ...options, timestamp, hooks: { logMethod }, serializers: { error: describeError } }, destination);
}

/** Gives `error` one form in all lines, because a log index refuses a member of two types. */
function describeError(error: unknown): { name: string; message: string; stack?: string } {
  if (!(error instanceof Error)) return { name: typeof error, message: String(error) };
  const { name, message, stack } = error;
  return { name, message, ...(stack !== undefined && { stack }) };
}

/**
 * Nest's logger, written by pino. The members of a logged object become fields, except `message`, which is the text.
 */
export class PinoLogger implements LoggerService {
  constructor(private readonly pino: Logger) {}

  /**
   * Logs an object at `info` and a text at `debug`: only Nest logs texts, about its start, and operators do not need
   * them.
   */
  log(message: unknown, ...context: unknown[]): void {
    this.write(typeof message === 'object' ? 'info' : 'debug', message, context);
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
      this.pino[level]({ component: name, ...fields }, text ?? '');
    } else {
      this.pino[level](
        { component: name, ...(context.length > 1 && { details: context.slice(0, -1) }) },
        String(message),
      );
    }
  }
}
