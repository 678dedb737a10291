/**
 * Saves an export of `GET /v1/credentials/export`. `--help` describes the arguments.
 *
 * The file gets its name when its bytes are on the disk and src/portability/export-verifier.ts has verified them.
 */
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { type VerifiedExport, verifyCredentialExport } from '../src/portability/export-verifier.js';
import { ExportError } from '../src/tlog/lines.js';
import { writeFileAtomically } from './audit-archive/archive-file.js';
import {
  type Arguments,
  EXIT,
  type ExitCode,
  type Program,
  ProgressLine,
  readArguments,
  reportUsage,
  UsageError,
} from './command-line.js';
import { KEY_TEXT, type KeyFiles, readKeyFiles } from './key-files.js';
import { describeService, openService } from './service-login.js';
import { describeAnswer, readBody, type ServiceCaller } from './service/service-caller.js';

const PROGRAM = {
  command: 'npm run passkeys:export --',
  imageCommand: 'node dist/commands/passkeys-export.js',
  usage: ['--rp-id ID --url URL --cert FILE --cert-key FILE --ca FILE --key FILE… --out FILE'],
  about:
    'Saves every passkey of a relying party, as lines of JSON that passkeys:import takes, and verifies what it saved. The file appears when it is whole and on the disk; until then it is FILE.partial.',
  options: {
    'rp-id': { value: 'ID', text: 'The relying party whose passkeys are saved.' },
    ...describeService('passkeys:export'),
    key: { value: 'FILE', text: KEY_TEXT, multiple: true },
    out: { value: 'FILE', text: 'The file. Only its owner may read it.' },
  },
  examples: [
    '--rp-id login.example.com --url https://localhost:8443 --cert operator.crt --cert-key operator.key --ca ca.crt --key audit.pub --out passkeys.ndjson',
  ],
  exitCodes: {
    [EXIT.done]: 'The export is saved and verifies.',
    [EXIT.failed]: 'The export broke off or does not verify. There is no file.',
    [EXIT.couldNotRun]: 'The arguments are wrong, or the service refused the export or could not be reached.',
  },
} as const satisfies Program;

type Values = Arguments<typeof PROGRAM.options>['values'];

const progress = new ProgressLine(200);

/** @throws Error that describes the problem */
async function openAnswer(service: ServiceCaller, path: string): Promise<IncomingMessage> {
  const answer = await service.open('GET', path);
  if (answer.statusCode === 200) return answer;
  throw new Error(describeAnswer({ status: answer.statusCode ?? 0, body: await readBody(answer) }));
}

/** Shows the progress of what passes. */
async function* countBytes(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let [bytes, lines] = [0, 0];
  const start = performance.now();
  for await (const chunk of chunks) {
    bytes += chunk.length;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, at + 1)) lines += 1;
    progress.show(() => {
      const rate = Math.round((lines / (performance.now() - start)) * 1_000);
      return `${(bytes / 1e6).toFixed(0)} MB, ${lines.toLocaleString('en')} lines, ${rate.toLocaleString('en')} lines/s`;
    });
    yield chunk;
  }
}

async function save(values: Values): Promise<ExitCode> {
  const { 'rp-id': rpId, out } = values;
  if (rpId === undefined || out === undefined || values.key.length === 0)
    throw new UsageError('Give --rp-id, a --key and --out.');
  const service = openService(values);
  try {
    const keys = readKeyFiles(values.key);
    const answer = await openAnswer(service, `/v1/credentials/export?${new URLSearchParams({ rpId }).toString()}`);
    return await saveAnswer(out, answer, keys);
  } finally {
    service.close();
  }
}

/** @returns the exit code once the answer has begun */
async function saveAnswer(out: string, answer: IncomingMessage, { keys, former }: KeyFiles): Promise<ExitCode> {
  let verified: VerifiedExport | undefined;
  try {
    await writeFileAtomically(out, countBytes(answer as AsyncIterable<Buffer>), async (partial) => {
      verified = await verifyCredentialExport(createReadStream(partial), keys, { former });
    });
    progress.clear();
    console.log(`${out}: ${formatEnd(verified!)}`);
    return EXIT.done;
  } catch (error) {
    await rm(`${out}.partial`, { force: true });
    progress.clear();
    const { message } = error as Error;
    console.error(
      `${out} is not saved: ${error instanceof ExportError ? `the export does not verify: ${message}` : message}.`,
    );
    return EXIT.failed;
  }
}

function formatEnd({ end: { count, leftOut, digest } }: VerifiedExport): string {
  const left = leftOut > 0 ? `, ${leftOut.toLocaleString('en')} left out, which failed their integrity check` : '';
  return `${count.toLocaleString('en')} passkeys${left}; it verifies, digest ${digest}`;
}

const given = readArguments(PROGRAM);
try {
  process.exitCode = await save(given.values);
} catch (error) {
  progress.clear();
  const { message } = error as Error;
  if (error instanceof UsageError) reportUsage(PROGRAM, message);
  else console.error(`Nothing was exported: ${message}.`);
  process.exitCode = EXIT.couldNotRun;
}
