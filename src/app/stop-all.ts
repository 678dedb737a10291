export type Stop = () => Promise<void>;

/**
 * Stops parts in the reverse order of their start and takes them from the list, also those behind one that fails.
 *
 * @throws what the first one failed by
 */
export async function stopAll(stops: Stop[]): Promise<void> {
  const failures: unknown[] = [];
  for (const stop of stops.splice(0).reverse()) await stop().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
