/** One sample of `GET /metrics`. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$/;
const LABEL = /\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)/y;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', '\\': '\\', '"': '"' };
/** In lower case, because programs write them in several ways. */
const VALUES: Readonly<Record<string, number>> = { '+inf': Infinity, '-inf': -Infinity, inf: Infinity, nan: NaN };

/** Reads the text format of Prometheus. A line that is no sample, such as a comment, is left out. */
export function parseMetrics(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    if (line.startsWith('#')) return [];
    const [, name, list = '', written = ''] = SAMPLE.exec(line) ?? [];
    const labels = parseLabels(list);
    const value = VALUES[written.toLowerCase()] ?? parseNumber(written);
    return name === undefined || !labels || value === undefined ? [] : [{ name, labels, value }];
  });
}

function parseNumber(written: string): number | undefined {
  const value = Number(written);
  return Number.isNaN(value) ? undefined : value;
}

function parseLabels(list: string): Record<string, string> | undefined {
  const labels: [string, string][] = [];
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < list.length) {
    const [, name = '', value = ''] = LABEL.exec(list) ?? [];
    if (name === '') return undefined;
    labels.push([name, value.replaceAll(/\\(.)/g, (whole, character: string) => ESCAPES[character] ?? whole)]);
  }
  return Object.fromEntries(labels);
}

/** @returns the samples of one metric */
export function pickSamples(samples: readonly Sample[], name: string): Sample[] {
  return samples.filter((sample) => sample.name === name);
}
