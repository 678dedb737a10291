import { call } from '../shell/api.js';

/** A recorded change of a key or of the files that hold keys. */
export interface KeyEvent {
  readonly id: string;
  readonly time: Date;
  readonly words: string;
  readonly key: string | undefined;
}

export const KEY_EVENTS: Readonly<Record<string, string>> = {
  'seal-key.add': 'A key of the seals was added',
  'seal-key.rotate': 'Another key seals',
  'seal-key.retire': 'A key of the seals was retired',
  'seal-key.force-retire': 'A key of the seals was retired although rows needed it',
  'seal-key.end-old-seals': 'Seals of the version before ended',
  'audit.rekey': 'Another key signs the audit log',
  'receipt-keys.reload': 'The keys of receipts were read again',
  'signal-keys.reload': 'The keys of signals were read again',
  'trust.reload': 'Certificates and lists were read again',
};

/** The last ones of each type. */
const OF_EACH = 5;

/** Reads the last changes of each kind of key, the newest first. The service records each read. @throws Problem */
export async function readKeyEvents(signal: AbortSignal): Promise<KeyEvent[]> {
  const found: KeyEvent[] = [];
  for (const [type, words] of Object.entries(KEY_EVENTS)) {
    const query = { type, outcome: 'success', limit: OF_EACH } as const;
    const { data } = await call('get', '/v1/audit/events', { query }, { signal });
    for (const event of data) {
      const { seal_key: key } = (event['unmapped'] ?? {}) as { seal_key?: unknown };
      found.push({
        id: event.metadata.uid,
        time: new Date(event.time),
        words,
        key: typeof key === 'string' ? key : undefined,
      });
    }
  }
  return found.toSorted((one, other) => other.time.getTime() - one.time.getTime());
}
