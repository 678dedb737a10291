import { performance } from 'node:perf_hooks';

export interface Measurement {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly errors: number;
}

/** A closed loop: each of `clients` begins its next ceremony when the last one has ended. */
export async function closedLoop(
  clients: number,
  seconds: number,
  ceremony: (client: number) => Promise<void>,
): Promise<Measurement> {
  const times: number[] = [];
  let errors = 0;
  const begin = performance.now();
  const end = begin + seconds * 1_000;
  const loop = async (client: number): Promise<void> => {
    while (performance.now() < end) {
      const start = performance.now();
      await ceremony(client).then(
        () => times.push(performance.now() - start),
        () => (errors += 1),
      );
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => loop(client)));
  const elapsed = (performance.now() - begin) / 1_000;
  times.sort((a, b) => a - b);
  const quantile = (q: number): number => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? NaN;
  return { perSecond: times.length / elapsed, p50: quantile(0.5), p99: quantile(0.99), errors };
}

export function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
