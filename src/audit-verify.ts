import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { ExportError } from './audit/log/export-error.js';
import { proveEvent } from './audit/log/proved-event.js';
import { openInput, readVerifyCommand, USAGE, type VerifyCommand } from './audit/log/verify-command.js';
import { verifyExport } from './audit/log/verify-export.js';
import { clearProgress, formatProvedEvent, formatExport, makeProgressBar } from './audit/log/verify-text.js';

/**
 * `npm run audit:verify -- EXPORT --key FILE [--since CHECKPOINT [--consistency PROOF]] [--checkpoints NOTES]
 * [--retained-since TIME]`, in a container `node dist/src/audit-verify.js`: proves an export of the audit log, without a
 * database and without a network. EXPORT may be `-`, standard input. Every verifier key of FILE must have signed.
 * `--since` is an earlier checkpoint, and PROOF the answer of GET /v1/audit/consistency from its size to this tree's. PROOF is
 * needed where that size is outside of the exported range. NOTES are the checkpoints that were signed over time, one after
 * another; they show more closely which lines were altered. No event from TIME on may be erased.
 *
 * `npm run audit:verify -- EVENT --proof PROOF --key FILE` proves that one event is in the log: EVENT is the answer of
 * GET /v1/audit/events/{id}, or the event's line of an export, PROOF that of GET /v1/audit/events/{id}/proof.
 *
 * Exit code 0: it holds, and the output says what it proves; 1: it does not hold, and the output says where; 2: it could not run.
 */
async function verify({ path, keys, proof, options }: VerifyCommand): Promise<string> {
  if (proof !== undefined) {
    const event = (await buffer(openInput(path))).toString('utf8');
    return formatProvedEvent(proveEvent(event, readFileSync(proof, 'utf8'), keys));
  }
  const proved = await verifyExport(openInput(path), keys, { ...options, onProgress: makeProgressBar(path) });
  clearProgress();
  return formatExport(proved);
}

let command: VerifyCommand | undefined;
try {
  command = readVerifyCommand(process.argv.slice(2));
  console.log(`${command.path} holds:\n${await verify(command)}`);
} catch (error) {
  clearProgress();
  const { message } = error as Error;
  if (error instanceof ExportError) {
    console.error(`${command?.path ?? 'The export'} does not hold: ${message}`);
    process.exitCode = 1;
  } else {
    console.error(`${message}\n${USAGE}`);
    process.exitCode = 2;
  }
}
