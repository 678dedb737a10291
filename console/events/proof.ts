import { parseVerifierKeys } from '../../src/tlog/keys.js';
import { type ProvedEvent, verifyEvent } from '../../src/tlog/proof-documents.js';
import { readKept } from '../log/kept-checkpoint.js';
import { findBreak, openBefore } from '../log/witness.js';
import { readText } from '../shell/api.js';
import { Problem } from '../shell/problem.js';

/** What the page found out about the place of an event in the log. */
export interface Proof {
  readonly kind: 'holds' | 'fails' | 'waits';
  /** What does not hold, in a sentence. */
  readonly fault?: string;
  readonly proved?: ProvedEvent;
  /** The proof and the verifier keys as the service answered them, for a verification elsewhere. */
  readonly papers?: { readonly proof: string; readonly keys: string };
  /** The hashes from the event to the root. */
  readonly steps?: number;
  /** The events of the checkpoint that the browser keeps, which the checkpoint of the proof continues. */
  readonly keptSize?: number | undefined;
}

/** How often an event that waits for its place is asked for again. */
const TRIES = 8;

/**
 * Asks the service for the proof of an event, and verifies it here.
 *
 * @param text the event as the service answered it
 * @throws Problem
 */
export async function proveEvent(id: string, text: string, service: string, signal: AbortSignal): Promise<Proof> {
  let proof: string;
  try {
    proof = await readProof(id, signal);
  } catch (error) {
    if (error instanceof Problem && error.slug === 'unavailable') return { kind: 'waits' };
    if (error instanceof Problem && error.slug === 'event-unknown') return { kind: 'fails', fault: UNPROVED };
    throw error;
  }
  const keys = await readText('/v1/audit/key', {}, { signal });
  const kept = readKept(service);
  const papers = { proof, keys };
  let proved: ProvedEvent;
  try {
    const former = kept && kept.keys !== keys ? [parseVerifierKeys(kept.keys)] : [];
    proved = verifyEvent(text, proof, parseVerifierKeys(keys), former);
  } catch (error) {
    return { kind: 'fails', fault: `${capitalise((error as Error).message)}.`, papers };
  }
  if (proved.id !== id) return { kind: 'fails', fault: `The service showed another event, ${proved.id}.`, papers };
  const steps = (JSON.parse(proof) as { proof: unknown[] }).proof.length;
  if (!kept) return { kind: 'holds', proved, steps, papers };
  const before = openBefore(kept);
  const fault = await findForeign(before, proved, signal);
  return fault === undefined
    ? { kind: 'holds', proved, steps, keptSize: before.size, papers }
    : { kind: 'fails', fault, proved, steps, papers };
}

const UNPROVED =
  'The event is in the database, but it has no place in the log. Nothing shows that the service wrote it.';

async function readProof(id: string, signal: AbortSignal): Promise<string> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await readText('/v1/audit/events/{id}/proof', { path: { id } }, { signal });
    } catch (error) {
      if (!(error instanceof Problem) || error.slug !== 'unavailable' || tried === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, (error.retryAfter ?? 1) * 1_000));
    }
  }
}

/** Says why the checkpoint of a proof does not belong to the log that the browser watches. */
async function findForeign(
  before: ProvedEvent['checkpoint'],
  { checkpoint }: ProvedEvent,
  signal: AbortSignal,
): Promise<string | undefined> {
  const askConsistency = (from: number, to: number): Promise<string> =>
    readText('/v1/audit/consistency', { query: { from: String(from), to: String(to) } }, { signal });
  const fault = await findBreak(before, checkpoint, askConsistency);
  return fault === undefined ? undefined : `The proof is of a log that this browser does not know. ${fault}`;
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
