import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { ExportError } from '../src/tlog/lines.js';
import { verifyEvent } from '../src/tlog/proof-documents.js';
import { openInput, readVerifyCommand, USAGE, type VerifyCommand } from './audit-verify/verify-command.js';
import { verifyExport } from '../src/tlog/export-verifier.js';
import { clearProgress, formatExport, formatProvedEvent, makeProgressBar } from './audit-verify/verify-text.js';

/**
 * Proves an export of the audit log, or one event of it, without a database and without a network. In a container the
 * command is `node dist/commands/audit-verify.js`.
 *
 *     npm run audit:verify -- EXPORT --key FILE [--since CHECKPOINT [--consistency PROOF]] [--checkpoints NOTES]
 *       [--retained-since TIME]
 *
 * EXPORT may be `-` for standard input. Every verifier key in FILE must have signed. CHECKPOINT is an earlier
 * checkpoint, and PROOF is the answer of GET /v1/audit/consistency from its size to the size of this tree. PROOF is
 * needed when the earlier size is outside the exported range. NOTES holds checkpoints that were signed over time, one
 * after another; they narrow down which lines were altered. No event from TIME on may be erased.
 *
 *     npm run audit:verify -- EVENT --proof PROOF --key FILE
 *
 * EVENT is the answer of GET /v1/audit/events/{id}, or the line of the event in an export. PROOF is the answer of GET
 * /v1/audit/events/{id}/proof.
 *
 * Exit code 0: it holds, and the output says what it proves; 1: it does not hold, and the output says where; 2: the
 * command could not run.
 */
async function verify({ path, keys, proof, options }: VerifyCommand): Promise<string> {
  if (proof !== undefined) {
    const event = (await buffer(openInput(path))).toString('utf8');
    return formatProvedEvent(verifyEvent(event, readFileSync(proof, 'utf8'), keys));
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
