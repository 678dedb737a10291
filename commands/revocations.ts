/**
 * Repeats revocations and suspensions that a restored database lost, as exports of the audit log tell them. `--help`
 * describes the arguments.
 *
 * reconcile/exported-events.ts reads the exports, and reconcile/repeat-revocations.ts asks the service and decides. This
 * file reads the arguments and prints what was done.
 */
import { ExportError } from '../src/tlog/lines.js';
import {
  type Arguments,
  EXIT,
  type ExitCode,
  openInput,
  type Program,
  ProgressLine,
  readArguments,
  reportUsage,
  UsageError,
} from './command-line.js';
import { KEY_TEXT, readKeyFiles } from './key-files.js';
import { ExportedEvents } from './reconcile/exported-events.js';
import { openService, describeService } from './service-login.js';
import { formatEventTime, type Outcome, repeatRevocations } from './reconcile/repeat-revocations.js';

const PROGRAM = {
  command: 'npm run revocations --',
  imageCommand: 'node dist/commands/revocations.js',
  usage: ['--export FILE… --key FILE… --url URL --cert FILE --cert-key FILE --ca FILE [--dry-run]'],
  about:
    'Repeats what a restored database lost: it revokes and suspends, through the API, each passkey that is revoked or suspended by its last event in the exports, with the reason of that event. It leaves every other passkey as it is, so a second run finds nothing to do. It also names each erased user who is back. It erases nobody. It takes about 600 bytes of memory for each credential in the exports.',
  options: {
    export: {
      value: 'FILE',
      text: 'An export of the log as it was before the restore (GET /v1/audit/export). Give the option once for each file. Every file must verify.',
      multiple: true,
    },
    key: { value: 'FILE', text: KEY_TEXT, multiple: true },
    ...describeService('passkeys:read and passkeys:manage'),
    'dry-run': { text: 'Changes nothing and says what it would do.' },
  },
  examples: [
    '--export export.ndjson --key audit.pub --url https://localhost:8443 --cert operator.crt --cert-key operator.key --ca ca.crt --dry-run',
  ],
  exitCodes: {
    [EXIT.done]: 'Nothing is left to do.',
    [EXIT.failed]: 'Something is left to do, and the output names it; or the service stopped answering.',
    [EXIT.couldNotRun]: 'The arguments are wrong, an export does not verify, or the service could not be reached.',
  },
} as const satisfies Program;

type Values = Arguments<typeof PROGRAM.options>['values'];

const progress = new ProgressLine(200);

/** @throws UsageError; ExportError that names the file */
async function readExports({ export: paths, key }: Values): Promise<{ exported: ExportedEvents; until: Date }> {
  if (paths.length === 0 || key.length === 0) throw new UsageError('Give an --export and a --key.');
  const [exported, { keys, former }] = [new ExportedEvents(), readKeyFiles(key)];
  let until = new Date(0);
  for (const path of paths) {
    try {
      const { from, to, span } = await exported.read(openInput(path), keys, former, (lines) => {
        progress.show(() => `${path}: ${lines.toLocaleString('en')} lines`);
      });
      progress.clear();
      console.log(`${path} verifies: leaves [${String(from)}, ${String(to)}), ${formatSpan(span)}`);
      if (span && span[1] > until) until = span[1];
    } catch (error) {
      if (!(error instanceof ExportError)) throw error;
      throw new ExportError(`${path} does not verify: ${error.message}`);
    }
  }
  exported.settle([]);
  return { exported, until };
}

function formatSpan(span: readonly [Date, Date] | undefined): string {
  return span ? `events from ${span[0].toISOString()} to ${span[1].toISOString()}` : 'no events';
}

/** Runs the program. @returns its exit code once the service has answered */
async function run({ values }: Arguments<typeof PROGRAM.options>): Promise<ExitCode> {
  const service = openService(values);
  const counts: Partial<Record<Outcome['kind'], number>> = {};
  let answered = false;
  try {
    const { exported, until } = await readExports(values);
    const passkeys = [...exported.listEnded()];
    const options = { dryRun: values['dry-run'], exportedUntil: until };
    const outcomes = repeatRevocations(service, passkeys, exported.listErased(), options);
    for await (const outcome of outcomes) {
      answered = true;
      counts[outcome.kind] = (counts[outcome.kind] ?? 0) + 1;
      const line = formatOutcome(outcome);
      if (line !== undefined) progress.clear();
      if (line !== undefined) console.log(line);
      const asked = Object.values(counts).reduce((sum, count) => sum + count, 0);
      progress.show(() => `${asked.toLocaleString('en')} of ${passkeys.length.toLocaleString('en')} passkeys`);
    }
    progress.clear();
    console.log(formatSummary(counts, exported.completeSince));
    const left = [counts.due, counts.failed, counts.erase, counts['erasure-failed']];
    return left.some((count) => count !== undefined) ? EXIT.failed : EXIT.done;
  } catch (error) {
    if (!answered) throw error;
    progress.clear();
    console.log(formatSummary(counts, -Infinity));
    console.error(`The service stopped answering: ${(error as Error).message}. Run the command again.`);
    return EXIT.failed;
  } finally {
    service.close();
  }
}

/** @returns undefined if there is nothing to say */
function formatOutcome(outcome: Outcome): string | undefined {
  if ('user' in outcome) return formatUser(outcome);
  if (!('text' in outcome)) return undefined;
  const { kind, passkey, text } = outcome;
  const { id, rpId, status, event } = passkey;
  const who = `passkey ${id} at ${rpId}`;
  const by = `${JSON.stringify(event.reason ?? '')}, event ${event.id} of ${formatEventTime(event)}`;
  if (kind === 'newer') return `left active: ${who}: it was reinstated at ${text}, after the exports end (${by})`;
  if (kind === 'failed') return `not ${status}: ${who}: ${text} (${by})`;
  return `${kind === 'due' ? `would be ${status}` : status}: ${who}, which was ${text} (${by})`;
}

function formatUser(outcome: Extract<Outcome, { user: unknown }>): string {
  const { uid, event } = outcome.user;
  const by = `pseudonym ${uid}, event ${event.id} of ${formatEventTime(event)}`;
  if (outcome.kind === 'erase')
    return `erase again: user ${JSON.stringify(outcome.userId)} of ${outcome.rpId} is back (${by})`;
  if (outcome.kind === 'erasure-failed') return `not known if an erased user is back: ${outcome.text} (${by})`;
  return `not asked: the exports have no passkey of an erased user; npm run reconcile says if the user is back (${by})`;
}

function formatSummary(counts: Partial<Record<Outcome['kind'], number>>, completeSince: number): string {
  const parts = [
    [counts.repeated, 'changed'],
    [counts.due, 'to be changed'],
    [counts.failed, 'not changed'],
    [counts.newer, 'reinstated since'],
    [counts.kept, 'already as the exports say'],
    [counts.gone, 'not in the database'],
    [counts.erase, 'to be erased again'],
    [counts['erasure-failed'], 'erased, and not known if back'],
    [counts['unknown-user'], 'erased without a known passkey'],
  ] as const;
  const told = parts
    .filter(([count]) => count !== undefined)
    .map(([count, text]) => `${count!.toLocaleString('en')} ${text}`);
  const since =
    completeSince === -Infinity
      ? ''
      : ` Events before ${new Date(completeSince).toISOString()} are not in the exports: the restored state must be newer.`;
  return `${told.length === 0 ? 'The exports revoke, suspend and erase nothing' : told.join(', ')}.${since}`;
}

const given = readArguments(PROGRAM);
try {
  process.exitCode = await run(given);
} catch (error) {
  progress.clear();
  if (error instanceof UsageError) reportUsage(PROGRAM, error.message);
  else console.error((error as Error).message);
  process.exitCode = EXIT.couldNotRun;
}
