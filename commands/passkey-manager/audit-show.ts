import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Schemas } from '../../clients/typescript/src/client.ts';
import { parseVerifierKeys } from '../../src/tlog/keys.js';
import { type ProvedEvent, verifyEvent } from '../../src/tlog/proof-documents.js';
import { EXIT } from '../command-line.js';
import { KEY_TEXT, type KeyFiles, readKeyFiles } from '../key-files.js';
import { defineServiceCommand, demand, type Session } from './command.js';
import { type Event, readEvent } from './event-row.js';
import type { Cell, Printer } from './printer.js';

type Proof = Schemas['InclusionProof'];

export const SHOW = defineServiceCommand(
  ['audit', 'show'],
  {
    usage: ['ID [--proof] [--key FILE]… [--save DIR]'],
    about:
      'Shows an event of the audit log with everything that it says. --proof verifies that this event, and no other, has this place in the log. The log records the read.',
    needs: 'audit:read',
    operands: { ID: 'The id of the event, a UUID, as audit list prints it.' },
    options: {
      proof: { text: 'Verifies the place of the event in the log.' },
      key: { value: 'FILE', text: `${KEY_TEXT} Without it, the keys that the service gives now.`, multiple: true },
      save: {
        value: 'DIR',
        text: 'Also writes the event, its proof, the signed checkpoint and the keys into this directory, for audit verify.',
      },
    },
    examples: [
      '01955121-3872-7fa2-94f9-ac2b3d0ef516',
      '01955121-3872-7fa2-94f9-ac2b3d0ef516 --proof --key audit.pub',
      '01955121-3872-7fa2-94f9-ac2b3d0ef516 --save evidence',
    ],
    exitCodes: { [EXIT.failed]: 'The event does not verify.' },
  },
  async ({ operands: [id], values }, session) => {
    const { client, printer, signal } = session;
    const held = values.key.length > 0 ? readKeyFiles(values.key) : undefined;
    const event = await client.getAuditEvent(demand('the ID of an event', id), { signal });
    if (!values.proof && held === undefined && values.save === undefined) {
      showEvent(printer, event, event);
      return EXIT.done;
    }
    const proof = await client.proveAuditEvent(demand('the ID of an event', id), { signal });
    const proved = await prove(session, event, proof, held, values.save);
    showEvent(printer, event, { event, proof }, proved);
    if (held === undefined)
      printer.note('The keys come from the service that is verified. Keep them elsewhere, and give --key FILE.');
    return EXIT.done;
  },
);

/** @param directory where to keep what proves the event, also if it does not verify @throws ExportError */
async function prove(
  { client, printer, signal }: Session,
  event: Event,
  proof: Proof,
  held: KeyFiles | undefined,
  directory: string | undefined,
): Promise<ProvedEvent> {
  const published = await client.getAuditKeys({ signal });
  if (directory !== undefined) {
    await mkdir(directory, { recursive: true });
    const files = {
      'event.json': JSON.stringify(event, null, 2),
      'proof.json': JSON.stringify(proof, null, 2),
      checkpoint: proof.checkpoint,
      'audit.pub': published,
    };
    for (const [name, text] of Object.entries(files))
      await writeFile(join(directory, name), text.endsWith('\n') ? text : `${text}\n`, { mode: 0o600 });
    const [saved, path, key] = ['event.json', 'proof.json', 'audit.pub'].map((name) => join(directory, name));
    printer.note(
      `Saved in ${directory}. To prove it again: passkey-manager audit verify ${saved!} --proof ${path!} --key ${key!}`,
    );
  }
  const { keys, former } = held ?? { keys: parseVerifierKeys(published), former: [] };
  return verifyEvent(JSON.stringify(event), JSON.stringify(proof), keys, former);
}

/** @param value what programs get */
function showEvent(printer: Printer, event: Event, value: unknown, proved?: ProvedEvent): void {
  const {
    time,
    type,
    success,
    reason,
    detail,
    statedReason,
    caller,
    rpId,
    user,
    credentials,
    id,
    request,
    address,
    facts,
  } = readEvent(event);
  printer.showRecord(value, {
    id,
    time,
    type,
    outcome: success ? { text: 'success', tone: 'good' } : { text: 'failure', tone: 'bad' },
    'refused because of': orNothing(reason),
    detail: orNothing(detail),
    'reason given': orNothing(statedReason),
    caller,
    address: orNothing(address),
    request: orNothing(request),
    'relying party': orNothing(rpId),
    user: orNothing(user),
    passkey: credentials.length === 0 ? undefined : credentials.join(', '),
    ...Object.fromEntries(facts.map(([name, fact]) => [name.replaceAll('_', ' '), fact])),
    ...(proved && describeProof(proved)),
  });
}

function describeProof({ leafIndex, checkpoint }: ProvedEvent): Record<string, Cell> {
  const { size, time, keys } = checkpoint;
  const signers = keys.map(({ algorithm }) => algorithm).join(' and ');
  return {
    place: { text: `leaf ${String(leafIndex)} of ${String(size)}, verified`, tone: 'good' },
    signed: `${time ? `${time.toISOString()} ` : ''}by ${signers}`,
  };
}

function orNothing(text: string): string | undefined {
  return text === '' ? undefined : text;
}
