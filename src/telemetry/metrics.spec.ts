import { describe, expect, it } from '@jest/globals';
import { Metrics } from './metrics.js';

const all = await new Metrics().registry.getMetricsAsJSON();
const names = (...types: string[]): string[] =>
  all.filter(({ type }) => types.includes(String(type))).map(({ name }) => name);

describe('the names of the metrics', () => {
  it('end in _total for every counter, and for nothing else', () => {
    expect(names('counter').filter((name) => !name.endsWith('_total'))).toEqual([]);
    expect(names('gauge', 'histogram', 'summary').filter((name) => name.endsWith('_total'))).toEqual([]);
  });

  it('are prefixed with passkey_, except those of the process and of Node.js', () => {
    expect(all.map(({ name }) => name).filter((name) => !/^(passkey|process|nodejs)_/.test(name))).toEqual([]);
  });
});

describe('passkey_build_info', () => {
  it('has the version of package.json and that of Node.js', () => {
    const { values } = all.find(({ name }) => name === 'passkey_build_info')!;
    const version = expect.stringMatching(/^\d+\.\d+\.\d+/);
    expect(values).toEqual([{ labels: { version, node: process.versions.node }, value: 1 }]);
  });
});

describe('a time', () => {
  it('is absent until it is set, because 0 would be 1970', () => {
    const times = all.filter(({ name }) => /_(timestamp|offset)_seconds$/.test(name) && !name.startsWith('process_'));
    expect(times.length).toBeGreaterThan(4);
    expect(times.filter(({ values }) => values.length > 0)).toEqual([]);
  });

  it('is shown once it is set', async () => {
    const metrics = new Metrics();
    metrics.metadataNextUpdate.set(1_772_323_200);
    expect(await metrics.registry.metrics()).toMatch(/^passkey_metadata_next_update_timestamp_seconds 1772323200$/m);
  });
});
