import { PasskeyProblem } from '../../clients/typescript/src/client.ts';
import { EXIT } from '../command-line.js';
import { type Command, defineCommand, defineServiceCommand, OUTPUT, readFormat } from './command.js';
import { Printer } from './printer.js';

const status = defineCommand(
  ['keys', 'status'],
  {
    usage: [''],
    about:
      'Shows the keys, certificates and revocation lists of the service, when they end, and how many rows each seal key has sealed. What ends next comes first. It reads the files and the database itself, so run it where the service runs, with the environment of the service. It calls nobody, so it takes no --as and no certificate. It shows no secret.',
    options: { output: OUTPUT },
    environment: {
      'PASSKEY_…': 'The settings of the service; docs/runbook.md lists them.',
      DATABASE_URL:
        'The database, with a role that may read all tables: the service’s or the migrator’s. Without it, what the database has is left out.',
    },
    examples: ['', '-o json'],
    exitCodes: {
      [EXIT.done]: 'Everything that the environment names could be read, and nothing has ended.',
      [EXIT.failed]: 'A part could not be read, or has ended. The output names it.',
      [EXIT.couldNotRun]: 'The arguments or the settings are wrong.',
    },
  },
  async ({ values }, io) => {
    const printer = new Printer(readFormat(values.output, io), io);
    // It needs much that the other commands do without.
    const { showKeys } = await import('./key-status.js');
    return showKeys(printer, io.env);
  },
);

interface PublishedKey {
  readonly use: string;
  readonly id: string;
  readonly algorithm: string;
}

const published = defineServiceCommand(
  ['keys', 'published'],
  {
    usage: [''],
    about:
      'Lists the public keys that the service publishes: those of receipts and of signals. audit key prints those of the log.',
    needs: 'an entry in the access policy',
    options: {},
    examples: [''],
  },
  async (_, { client, printer, signal }) => {
    const [receipts, signals] = await Promise.all([
      client.getReceiptKeys({ signal }),
      client.getSignalKeys({ signal }).catch(ignoreMissing),
    ]);
    const toKeys = (use: string, keys: readonly { kid: string; alg: string }[]): PublishedKey[] =>
      keys.map(({ kid, alg }) => ({ use, id: kid, algorithm: alg }));
    const keys = [...toKeys('receipts', receipts.keys), ...toKeys('signals', signals?.keys ?? [])];
    printer.showList(
      keys,
      { use: ({ use }) => use, algorithm: ({ algorithm }) => algorithm, id: ({ id }) => id },
      'The service publishes no keys.',
    );
    return EXIT.done;
  },
);

/** @returns undefined if the service signs no signals */
function ignoreMissing(error: unknown): undefined {
  if (error instanceof PasskeyProblem && error.slug === 'signals-not-configured') return undefined;
  throw error;
}

export const KEYS: readonly Command[] = [status, published];
