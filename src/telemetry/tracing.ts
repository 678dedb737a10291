import { setTimeout as sleep } from 'node:timers/promises';
import type * as Sdk from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import type { TraceSettings } from '../config/trace-settings.js';
import { useTracing } from './spans.js';

/** The time that the last spans have to leave at the stop: milliseconds. Requests have had theirs before (http/drain.ts). */
const FLUSH_MS = 5_000;
/** The least time between two lines about the same trouble: milliseconds. */
const PAUSE_MS = 60_000;

interface Instance {
  readonly settings: TraceSettings;
  readonly logger: Logger;
  /** Undefined in the only process. */
  readonly worker?: number | undefined;
}

/**
 * Loads OpenTelemetry's SDK and begins to trace requests. Spans wait in memory and leave in batches, by timers of their own;
 * if the collector is away, they are lost and no request notices.
 *
 * @returns stops tracing, and gives the last spans a moment to leave
 */
export async function startTracing({ settings, logger, worker }: Instance): Promise<() => Promise<void>> {
  const [api, core, sdk, resources, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-proto'),
  ]);
  const warn = limitWarnings(logger);
  core.setGlobalErrorHandler(warn);
  const note = (text: string): void => {
    warn(text);
  };
  const ignore = (): void => undefined;
  const diagnostics = { error: note, warn: note, info: ignore, debug: ignore, verbose: ignore };
  api.diag.setLogger(diagnostics, { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true });

  const detectors = [resources.resourceAttributesEnvDetector, resources.serviceNameEnvDetector];
  const own = {
    'service.name': 'passkey-manager',
    'process.pid': process.pid,
    ...(worker !== undefined && { 'passkey.worker': worker }),
  };
  const readNumber = (name: string, fallback: number): number => core.getNumberFromEnv(name) ?? fallback;
  const provider = new sdk.TracerProvider({
    resource: resources
      .defaultResource()
      .merge(resources.resourceFromAttributes(own))
      .merge(resources.detectResources({ detectors })),
    sampler: createSampler(settings, sdk),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter(),
        scheduledDelayMillis: readNumber('OTEL_BSP_SCHEDULE_DELAY', 5_000),
        exportTimeoutMillis: readNumber('OTEL_BSP_EXPORT_TIMEOUT', 30_000),
        maxQueueSize: readNumber('OTEL_BSP_MAX_QUEUE_SIZE', 2_048),
        maxExportBatchSize: readNumber('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
      }),
    ],
  });
  useTracing({ api, tracer: provider.getTracer('passkey-manager'), parseTraceParent: core.parseTraceParent });

  return async () => {
    useTracing(undefined);
    await Promise.race([provider.shutdown().catch(warn), sleep(FLUSH_MS, undefined, { ref: false })]);
  };
}

function createSampler({ sampler, ratio }: TraceSettings, sdk: typeof Sdk): Sdk.Sampler {
  const [, parentBased, rule = ''] = /^(parentbased_)?(\w+)$/.exec(sampler) ?? [];
  const root = {
    always_on: () => new sdk.AlwaysOnSampler(),
    always_off: () => new sdk.AlwaysOffSampler(),
    traceidratio: () => new sdk.TraceIdRatioBasedSampler(ratio),
  }[rule]!();
  return parentBased === undefined ? root : new sdk.ParentBasedSampler({ root });
}

/** Lets at most one warning a minute reach the log. */
function limitWarnings(logger: Logger): (error: unknown) => void {
  let next = 0;
  let suppressed = 0;
  return (error) => {
    const now = performance.now();
    if (now < next) {
      suppressed += 1;
      return;
    }
    logger.warn({ reason: describe(error), suppressed }, 'spans are lost');
    next = now + PAUSE_MS;
    suppressed = 0;
  };
}

/** A collector's answer can be long. */
const MOST_CHARACTERS = 200;

function describe(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  const texts = typeof error === 'string' ? [error] : [message, code].filter(Boolean).map(String);
  return texts.join(': ').slice(0, MOST_CHARACTERS) || 'unknown';
}
