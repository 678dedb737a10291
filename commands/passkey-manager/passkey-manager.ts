/**
 * The command line of operators and auditors: `passkey-manager users show ada --rp login.example.com`. `--help` describes it, and
 * `--help` after a command that command.
 *
 * run-command-line.ts finds the command by its words and turns what goes wrong into a sentence and an exit code. commands.ts lists the
 * commands, and each has a file for its first word. command.ts defines what a command is; its `Program` is what the parser, the
 * help and completion.ts read. login.ts finds the service and the certificate, printer.ts shows results, failure.ts explains what
 * the service refused. All calls go through the typed client.
 */
import { EXIT } from '../command-line.js';
import { runCommandLine } from './run-command-line.js';

// A reader such as head may go before the end.
process.stdout.on('error', ({ code }: NodeJS.ErrnoException) =>
  process.exit(code === 'EPIPE' ? EXIT.done : EXIT.couldNotRun),
);
const { stdout, stderr, env } = process;
const onInterrupt = (interrupt: () => void): (() => void) => {
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  return () => process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
};
const exitCode = await runCommandLine(process.argv.slice(2), { stdout, stderr, env, onInterrupt });
// A shell learns that Ctrl-C ended the command, and not its own end.
if (exitCode === undefined) process.kill(process.pid, 'SIGINT');
else process.exitCode = exitCode;
