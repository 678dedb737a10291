import { Counter, type Registry } from 'prom-client';

/** Makes the metric of receipts. */
export function createReceiptCounter(registry: Registry): Counter<'ceremony'> {
  return new Counter({
    name: 'passkey_receipts_total',
    help: 'Receipts that were signed, by the ceremony that they are of',
    labelNames: ['ceremony'],
    registers: [registry],
  });
}
