/**
 * Shows, years after a payment, that a passkey agreed to it. `--help` describes the arguments.
 *
 * payment-replay/replay.ts holds what auth-service kept against the event in the audit log, and verifies it again. This file reads
 * the arguments, finds the event and the passkey, and prints what was held against what.
 */
import { readFileSync } from 'node:fs';
import type { DataSource } from 'typeorm';
import { ConfigError } from '../src/config/config.js';
import { deriveSealKey, readMasters, type SecretKeys } from '../src/config/secret-keys.js';
import { describeProgramFailure } from '../src/database/connection-failure.js';
import { parseUnambiguous } from '../src/tlog/canonical-json.js';
import { ExportError, LineFault } from '../src/tlog/lines.js';
import { verifyEvent } from '../src/tlog/proof-documents.js';
import {
  type Arguments,
  EXIT,
  type ExitCode,
  openInput,
  type Program,
  readArguments,
  reportUsage,
  UsageError,
} from './command-line.js';
import { describeLogin, openToRead, READER, readLogin } from './database-login.js';
import { KEY_TEXT, readKeyFiles } from './key-files.js';
import { type LoggedPayment, readLoggedPayment } from './payment-replay/logged-payment.js';
import { formatPayment, type Replay, type ReplayedPasskey, replayPayment, type Step } from './payment-replay/replay.js';
import { MAX_FILE_BYTES, parseReplayFile, type ReplayFile, ReplayFileError } from './payment-replay/replay-file.js';
import { findEvent, findPasskey, STORED_ENTITIES } from './payment-replay/stored-payment.js';

const BINDING_KEYS = 'PASSKEY_BINDING_KEY_FILE';

const PROGRAM = {
  command: 'npm run payment:replay --',
  imageCommand: 'node dist/commands/payment-replay.js',
  usage: ['FILE|- [--proof PROOF --key FILE…] [--json]'],
  about:
    'Shows, years after a payment, that a passkey agreed to it: holds what auth-service kept against the event in the audit log, and verifies the answer of the browser again. The event and the public key are read from the database, also for a passkey that is revoked now; if FILE has both, it needs no database. It changes nothing.',
  operands: {
    FILE: 'A JSON object with the members below, of at most 256 KiB; - reads standard input. commands/payment-replay.sample.json is one that needs no database.',
  },
  maxOperands: 1,
  options: {
    proof: {
      value: 'PROOF',
      text: 'The proof that the event is in the log: the answer of GET /v1/audit/events/{id}/proof.',
    },
    key: { value: 'FILE', text: `For --proof. ${KEY_TEXT}`, multiple: true },
    json: { text: 'Prints each step as a line of JSON, and then the summary.' },
  },
  members: {
    request: 'The body of POST /v1/challenges/payment.',
    challenge: 'methodData.data.challenge of its answer.',
    response: 'What the browser answered: AuthenticationResponseJSON.',
    auditId: 'auditId of the answer of POST /v1/payments.',
    event: 'The answer of GET /v1/audit/events/{id}, or the line of the event in an export; optional.',
    publicKey: 'The public key of the passkey: its COSE_Key in base64url; optional.',
  },
  environment: {
    ...describeLogin(READER),
    [BINDING_KEYS]: 'The file of the keys that seal rows, one a line: for a public key from the database.',
  },
  examples: ['payment.json', 'payment.json --proof proof.json --key audit.pub', 'commands/payment-replay.sample.json'],
  exitCodes: {
    [EXIT.done]: 'The payment holds.',
    [EXIT.failed]: 'It does not hold, and the output names what differs.',
    [EXIT.couldNotRun]:
      'The arguments or FILE are wrong, the event or the public key is gone, or the database could not be read.',
  },
} as const satisfies Program;

type Values = Arguments<typeof PROGRAM.options>['values'];

/** The event as text, which the proof is about. */
interface Event {
  readonly text: string;
  /** True if the log has another hash of the row. */
  readonly isAltered: boolean;
}

async function run({ values, operands: [path] }: Arguments<typeof PROGRAM.options>): Promise<ExitCode> {
  if (path === undefined) throw new UsageError('Give one FILE.');
  if ((values.proof !== undefined) !== values.key.length > 0) throw new UsageError('Give --proof and --key together.');
  const file = await parseReplayFile(path, await readInput(path));
  const { event, logged, passkey } = await findEvidence(file);
  const replay = replayPayment(file, logged, passkey);
  const steps = [...replay.steps, holdAgainstLog(event, file, values)];
  for (const step of steps) console.log(values.json ? JSON.stringify(step) : formatStep(step));
  const [code, text] = summarize(path, file, { ...replay, steps }, passkey);
  console.log(values.json ? JSON.stringify({ summary: { code, text } }) : text);
  return code;
}

/** @throws ReplayFileError, Error if there is no such file */
async function readInput(path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of openInput(path)) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_FILE_BYTES)
      throw new ReplayFileError(`${path} has more than ${MAX_FILE_BYTES.toLocaleString('en')} bytes.`);
  }
  return Buffer.concat(chunks);
}

interface Evidence {
  readonly event: Event;
  readonly logged: LoggedPayment;
  readonly passkey: ReplayedPasskey;
}

/** Takes the event and the key from the file, and what it lacks from the database. */
async function findEvidence(file: ReplayFile): Promise<Evidence> {
  const { event, publicKey } = file;
  if (event && publicKey !== undefined) return readEvidence(file, undefined);
  const keys = publicKey === undefined ? readSealKeys() : undefined;
  const dataSource = await openToRead(readLogin(process.env, READER), STORED_ENTITIES);
  try {
    return await readEvidence(file, { dataSource, keys });
  } finally {
    await dataSource.destroy();
  }
}

interface Stored {
  readonly dataSource: DataSource;
  readonly keys: Pick<SecretKeys, 'seals'> | undefined;
}

async function readEvidence(file: ReplayFile, stored: Stored | undefined): Promise<Evidence> {
  const event = file.event
    ? { text: JSON.stringify(file.event), isAltered: false }
    : await findEvent(stored!.dataSource, file.auditId.toLowerCase());
  const logged = readLoggedPayment(parseEvent(event.text));
  if (file.publicKey === undefined)
    return { event, logged, passkey: await findPasskey(stored!.dataSource, stored!.keys!, logged) };
  const publicKey = Buffer.from(file.publicKey, 'base64url');
  const text = '/publicKey is the file’s own: nothing here shows that it is the key of the passkey';
  return { event, logged, passkey: { publicKey, userId: undefined, outcome: 'open', text } };
}

/** @returns undefined for a text that somebody else wrote than the service */
function parseEvent(text: string): unknown {
  try {
    return parseUnambiguous(text);
  } catch (error) {
    if (error instanceof LineFault) return undefined;
    throw error;
  }
}

/** @throws UsageError, ConfigError */
function readSealKeys(): Pick<SecretKeys, 'seals'> {
  const path = process.env[BINDING_KEYS];
  if (!path) throw new UsageError(`${BINDING_KEYS} is not set: name the file of the keys that seal rows.`);
  return { seals: readMasters(path, BINDING_KEYS).map(deriveSealKey) as unknown as SecretKeys['seals'] };
}

/** Proves that the event is in the log, or says how to. */
function holdAgainstLog({ text, isAltered }: Event, { auditId }: ReplayFile, { proof, key }: Values): Step {
  const step = 'log';
  if (isAltered) return { step, outcome: 'fails', text: 'the log has another hash of the event than that of its row' };
  if (proof === undefined) {
    const how = `to prove that the event is in the log, get /v1/audit/events/${auditId}/proof, and give --proof and --key`;
    return { step, outcome: 'open', text: how };
  }
  const { keys, former } = readKeyFiles(key);
  try {
    const { leafIndex, checkpoint } = verifyEvent(text, readFileSync(proof, 'utf8'), keys, former);
    const { origin, size, time } = checkpoint;
    const signed = time ? `, signed at ${time.toISOString()}` : '';
    return {
      step,
      outcome: 'holds',
      text: `the event is leaf ${String(leafIndex)} of ${String(size)} in ${origin}${signed}`,
    };
  } catch (error) {
    if (!(error instanceof ExportError)) throw error;
    return { step, outcome: 'fails', text: `${proof} does not verify: ${error.message}` };
  }
}

const WORDS: Readonly<Record<Step['outcome'], string>> = { holds: 'holds', fails: 'FAILS', open: 'open ' };

const formatStep = ({ step, outcome, text }: Step): string => `${WORDS[outcome]}  ${step}: ${text}`;

function summarize(
  path: string,
  { request }: ReplayFile,
  { steps, verified }: Replay,
  { outcome, userId }: ReplayedPasskey,
): [code: ExitCode, text: string] {
  const failed = steps.filter(({ outcome }) => outcome === 'fails').map(({ step }) => step);
  if (failed.length > 0) return [EXIT.failed, `${path} does not hold: ${failed.join(', ')}.`];
  if (!verified)
    return [EXIT.couldNotRun, `${path} is not replayed to its end: the public key is gone. Nothing contradicts it.`];
  const { payment, callerOrigin } = verified;
  const conditions = [
    ...(outcome === 'holds' ? [] : ['/publicKey is the key of the passkey']),
    ...(userId === undefined ? ['the passkey is the user’s'] : []),
  ];
  const condition = conditions.length === 0 ? '' : `, if ${conditions.join(' and ')}`;
  const agreed = `the passkey of ${request.userId} at ${request.rpId} agreed to pay ${formatPayment(payment)} on ${callerOrigin}`;
  return [EXIT.done, `${path} holds: ${agreed}${condition}.`];
}

const given = readArguments(PROGRAM);
try {
  process.exitCode = await run(given);
} catch (error) {
  if (error instanceof UsageError) reportUsage(PROGRAM, error.message);
  else console.error(error instanceof ConfigError ? `${error.mistakes.join('.\n')}.` : describeProgramFailure(error));
  process.exitCode = EXIT.couldNotRun;
}
