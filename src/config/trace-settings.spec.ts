import { describe, expect, it } from '@jest/globals';
import { Settings } from './settings.js';
import { readTraceSettings, SAMPLERS, type TraceSettings } from './trace-settings.js';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };

function read(env: NodeJS.ProcessEnv): { traces: TraceSettings | undefined; mistakes: readonly string[] } {
  const settings = new Settings(env);
  return { traces: readTraceSettings(settings), mistakes: settings.mistakes };
}

describe('traces', () => {
  it('are off without a collector, whatever other variables say', () => {
    const env = { OTEL_TRACES_SAMPLER: 'nonsense', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
    expect(read(env)).toEqual({ traces: undefined, mistakes: [] });
  });

  it('take every request and follow the caller’s decision, unless a sampler is set', () => {
    expect(read(ENDPOINT)).toEqual({ traces: { sampler: 'parentbased_always_on', ratio: 1 }, mistakes: [] });
  });

  it.each(SAMPLERS)('may use the sampler %s', (sampler) => {
    expect(read({ ...ENDPOINT, OTEL_TRACES_SAMPLER: sampler }).traces?.sampler).toBe(sampler);
  });

  it.each(['0', '1', '0.01', '.5', '1.0'])('may keep the share %s', (ratio) => {
    const { traces, mistakes } = read({ ...ENDPOINT, OTEL_TRACES_SAMPLER_ARG: ratio });
    expect([traces?.ratio, mistakes]).toEqual([Number(ratio), []]);
  });

  it.each([
    ['OTEL_TRACES_SAMPLER_ARG', '1.01'],
    ['OTEL_TRACES_SAMPLER_ARG', '-1'],
    ['OTEL_TRACES_SAMPLER_ARG', '1%'],
    ['OTEL_TRACES_SAMPLER_ARG', '1e-2'],
    ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'http/json'],
    ['OTEL_TRACES_EXPORTER', 'zipkin'],
    ['OTEL_SDK_DISABLED', 'yes'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://user:password@collector:4318'],
  ])('refuse %s=%s, which they could not obey', (name, value) => {
    expect(read({ ...ENDPOINT, [name]: value }).mistakes).toEqual([expect.stringMatching(new RegExp(`^${name} `))]);
  });
});
