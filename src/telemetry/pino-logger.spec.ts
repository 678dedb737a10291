import { beforeEach, describe, expect, it } from '@jest/globals';
import { Logger as NestLogger } from '@nestjs/common';
import { pino } from 'pino';
import { createLogger, PinoLogger } from './pino-logger.js';

let lines: Record<string, unknown>[];
let logger: PinoLogger;
beforeEach(() => {
  lines = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  logger = new PinoLogger(pino({ level: 'debug', base: null, timestamp: false }, { write }));
});

describe('Nest’s logger in terms of pino’s', () => {
  it.each([
    ['log', 20],
    ['debug', 20],
    ['warn', 40],
    ['error', 50],
  ] as const)('%s is the level %i', (method, level) => {
    logger[method]('hello', 'Context');
    expect(lines).toEqual([{ level, component: 'Context', msg: 'hello' }]);
  });

  it('shows in production what the service logs, and not what Nest reports of its start', () => {
    logger.log({ message: 'access policy reloaded', digest: 'd16e57' }, 'PolicyStore');
    logger.log('Nest application successfully started', 'NestApplication');
    expect(lines).toEqual([
      { level: 30, component: 'PolicyStore', digest: 'd16e57', msg: 'access policy reloaded' },
      { level: 20, component: 'NestApplication', msg: 'Nest application successfully started' },
    ]);
  });

  it('writes an object as fields, its message as the message', () => {
    logger.warn({ message: 'late', ms: 7, rpId: 'a.example' }, 'Context');
    expect(lines).toEqual([{ level: 40, component: 'Context', ms: 7, rpId: 'a.example', msg: 'late' }]);
  });

  it('writes an object without a message too', () => {
    logger.warn({ ms: 7 }, 'Context');
    expect(lines).toEqual([{ level: 40, component: 'Context', ms: 7, msg: '' }]);
  });

  it('keeps what stands between the message and the context', () => {
    logger.error('failed', 'at f (x.ts:1)', 'Context');
    expect(lines).toEqual([{ level: 50, component: 'Context', details: ['at f (x.ts:1)'], msg: 'failed' }]);
  });

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [7, '7'],
    [true, 'true'],
  ])('writes %p as the text %s', (message, text) => {
    logger.warn(message, 'Context');
    expect(lines).toEqual([{ level: 40, component: 'Context', msg: text }]);
  });

  it('writes one line, whatever the text is, so that nobody forges a second', () => {
    logger.warn('a\n{"level":50,"msg":"forged"}', 'Context');
    logger.warn({ message: 'b', rpId: 'x\r\ny' }, 'Context');
    expect(lines.map(({ msg }) => msg)).toEqual(['a\n{"level":50,"msg":"forged"}', 'b']);
  });

  it('is the logger that Nest writes to', () => {
    NestLogger.overrideLogger(logger);
    new NestLogger('Service').error({ message: 'request failed', requestId: 'r-1' });
    NestLogger.overrideLogger(false);
    expect(lines).toEqual([{ level: 50, component: 'Service', requestId: 'r-1', msg: 'request failed' }]);
  });
});

describe('the service’s logger', () => {
  it('writes the lines of the level that the settings give', () => {
    expect(createLogger({ production: true, logLevel: 'info' }).level).toBe('info');
    expect(createLogger({ production: false, logLevel: 'debug' }).level).toBe('debug');
  });
});
