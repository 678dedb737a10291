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
