/**
 * Shows and replaces the keys that seal rows. `--help` describes the arguments. keys/key-file.ts changes the file of the
 * keys, keys/key-table.ts reads from the database which rows each key has sealed, keys/retire.ts retires one, and
 * keys/force-approval.ts asks a second identity before that is done although rows need the key.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { ApprovalEntity } from '../src/approvals/approval.entity.js';
import { describeProgramFailure } from '../src/database/connection-failure.js';
import { createCommandOptions } from '../src/database/data-source.js';
import { EXIT, type Program, ProgressLine, readArguments, reportUsage, UsageError } from './command-line.js';
import { describeLogin, readLogin } from './database-login.js';
import { demandApproval, readForceRules } from './keys/force-approval.js';
import { addKey, KeyFileError, listKeyIds, moveKeyFirst, removeKey } from './keys/key-file.js';
import { formatKeys, listKeys, listRegistered } from './keys/key-table.js';
import { demandRetirable, forceRetire, retire, STOP_MS } from './keys/retire.js';

const ACTIONS = ['status', 'add', 'rotate', 'retire', 'remove'] as const;

const OWNER = 'the role that owns its schema';

const PROGRAM = {
  command: 'npm run keys --',
  imageCommand: 'node dist/commands/keys.js',
  usage: ['status', 'add', 'rotate ID', 'retire ID [--force]', 'remove ID'],
  about:
    'Shows and replaces the keys that seal rows, those of PASSKEY_BINDING_KEY_FILE. To replace a key: "add", and restart every replica; "rotate", and restart every replica; wait until "status" shows no row under the old key; "retire" it, then "remove" its line. The runbook has the whole procedure.',
  operands: {
    status: 'Shows each key, its place in the file, and the rows that it has sealed. Reads every row.',
    add: 'Adds a new random key at the end of the file. A service with the file accepts its seals, and makes none.',
    'rotate ID': 'Moves the key to the first line, so that it seals.',
    'retire ID':
      'Makes the seals of a key count no longer. It is refused while a row needs the key. Takes two minutes.',
    'remove ID': 'Removes the line of a retired key from the file.',
  },
  maxOperands: 2,
  options: {
    force: {
      text: 'With retire: retires the key although rows need it, and names each of them. The service refuses these rows from then on. For a stolen key whose thief keeps rows under it.',
    },
  },
  environment: {
    ...describeLogin(`${OWNER}: for status, retire and remove`),
    PASSKEY_BINDING_KEY_FILE: 'The file of the keys, one a line.',
    PASSKEY_ACCESS_POLICY_FILE: 'The access policy, which may ask for an approval: for retire with --force.',
  },
  examples: ['status', 'add', 'retire 3fa29b1c', 'retire 3fa29b1c --force'],
  exitCodes: {
    [EXIT.done]: 'Done.',
    [EXIT.failed]:
      'A row still needs the key, a second identity must approve it first, or the key cannot be used so. Nothing was changed.',
    [EXIT.couldNotRun]: 'The arguments or the environment are wrong, or the file or the database could not be read.',
  },
} as const satisfies Program;

const progress = new ProgressLine();
const { operands, values } = readArguments(PROGRAM);
try {
  await run(operands);
} catch (error) {
  progress.clear();
  if (error instanceof UsageError) reportUsage(PROGRAM, error.message);
  else console.error(describeProgramFailure(error));
  process.exitCode = error instanceof KeyFileError ? EXIT.failed : EXIT.couldNotRun;
}

async function run([action, id, surplus]: readonly string[]): Promise<void> {
  const file = process.env['PASSKEY_BINDING_KEY_FILE'];
  if (!ACTIONS.some((known) => known === action) || surplus !== undefined) {
    throw new UsageError(`Give one of ${ACTIONS.join(', ')}.`);
  }
  const isAboutOne = action === 'rotate' || action === 'retire' || action === 'remove';
  if (isAboutOne && !/^[0-9a-f]{8}$/.test(id ?? '')) {
    throw new UsageError(`Give the id of the key, 8 hexadecimal digits, after ${action}.`);
  }
  if (values.force && action !== 'retire') throw new UsageError('--force is for retire only.');
  if (!isAboutOne && id !== undefined) throw new UsageError(`'${id}' is one argument too many.`);
  if (!file) throw new UsageError('PASSKEY_BINDING_KEY_FILE is not set: name the file of the keys.');
  if (action === 'add') {
    console.log(`Added the key ${addKey(file)}. Restart every replica with the file; then "rotate" lets the key seal.`);
  } else if (action === 'rotate') {
    moveKeyFirst(file, id!);
    console.log(`The key ${id!} is the first. Restart every replica with the file; then rows are sealed again.`);
  } else await runWithDatabase((dataSource) => runAction(dataSource, file, action!, id ?? ''));
}

async function runWithDatabase(work: (dataSource: DataSource) => Promise<void>): Promise<void> {
  const { url, passwordFile } = readLogin(process.env, OWNER);
  const dataSource = await new DataSource({
    ...createCommandOptions(url, passwordFile),
    entities: [ApprovalEntity],
  }).initialize();
  try {
    await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

async function runAction(dataSource: DataSource, file: string, action: string, id: string): Promise<void> {
  const ids = listKeyIds(file);
  if (action === 'status') {
    console.log(formatKeys(ids, await listKeys(dataSource)));
    return;
  }
  if (action === 'remove') {
    const key = (await listRegistered(dataSource)).find((each) => each.id === id);
    if (!key?.retiredAt || key.retiredAt > new Date()) throw new KeyFileError(`The key ${id} is not retired.`);
    removeKey(file, id);
    console.log(`Removed the key ${id}. Restart every replica with the file when it suits you.`);
    return;
  }
  if (ids[0] === id) throw new KeyFileError(`The key ${id} seals: "rotate" another key first.`);
  if (values.force) return retireByForce(dataSource, file, id);
  await retire(dataSource, id, waitForReplicas);
  progress.clear();
  console.log(`The key ${id} is retired. "remove" takes its line out of the file.`);
}

async function retireByForce(dataSource: DataSource, file: string, id: string): Promise<void> {
  const policyFile = process.env['PASSKEY_ACCESS_POLICY_FILE'];
  if (!policyFile) throw new UsageError('PASSKEY_ACCESS_POLICY_FILE is not set: it says if this needs an approval.');
  const rules = readForceRules(policyFile);
  await demandRetirable(dataSource, id);
  const approvalId = rules ? await demandApproval(dataSource, id, file, rules) : undefined;
  console.log('The service will refuse these rows, unless they are sealed again within a minute:');
  const show = (name: string): void => {
    console.log(name);
  };
  const rows = await forceRetire(dataSource, id, waitForReplicas, { approvalId, show });
  progress.clear();
  console.log(`The key ${id} is retired, and ${String(rows)} rows that name it are refused.`);
}

async function waitForReplicas(): Promise<void> {
  progress.showMilestone('Waiting a minute, until no replica seals with the key.');
  await sleep(STOP_MS);
}
