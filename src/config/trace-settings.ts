import type { Settings } from './settings.js';

/** OTEL_TRACES_SAMPLER, as the specification of OpenTelemetry names its values. */
export const SAMPLERS = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const;
export type SamplerName = (typeof SAMPLERS)[number];

export interface TraceSettings {
  readonly sampler: SamplerName;
  /** The share of the traces that a ratio sampler keeps, from 0 to 1. */
  readonly ratio: number;
}

/** The OTEL_ variables that the exporter and the batches of OpenTelemetry read themselves are not repeated here. */
export function readTraceSettings(settings: Settings): TraceSettings | undefined {
  if (settings.readHttpUrl('OTEL_EXPORTER_OTLP_ENDPOINT') === undefined) return undefined;
  const isDisabled = settings.readFlag('OTEL_SDK_DISABLED');
  const exporter = settings.readOneOf('OTEL_TRACES_EXPORTER', ['otlp', 'none'], 'otlp');
  settings.readOneOf('OTEL_EXPORTER_OTLP_PROTOCOL', ['http/protobuf'], 'http/protobuf');
  settings.readOneOf('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', ['http/protobuf'], 'http/protobuf');
  const sampler = settings.readOneOf('OTEL_TRACES_SAMPLER', SAMPLERS, 'parentbased_always_on');
  const ratio = readRatio(settings);
  return isDisabled || exporter === 'none' ? undefined : Object.freeze({ sampler, ratio });
}

function readRatio(settings: Settings): number {
  const name = 'OTEL_TRACES_SAMPLER_ARG';
  const value = settings.env[name] || '1';
  const ratio = Number(value);
  if (!/^\d?\.?\d+$/.test(value) || ratio > 1) settings.mistakes.push(`${name} is "${value}"; it must be 0 to 1`);
  return ratio;
}
