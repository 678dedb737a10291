import { PasskeyProblem, PasskeyTransportError } from '../../clients/typescript/src/client.ts';
import { EXIT, type ExitCode, UsageError } from '../command-line.js';
import { ExportError } from '../../src/tlog/lines.js';
import { makeVisible } from './visible.js';

export interface Failure {
  /** For a person, on standard error. */
  readonly text: string;
  readonly exitCode: ExitCode;
}

/** What the client calls its options, and what they are called here. */
const OPTIONS = { '`url`': '--url', '`caFile`': '--ca', '`certFile`': '--cert', '`timeoutMs`': 'the client' };

/** Says what went wrong and what to do. */
export function describeFailure(error: unknown): Failure {
  if (error instanceof PasskeyProblem) return describeProblem(error);
  if (error instanceof PasskeyTransportError) {
    let text = error.message;
    for (const [name, option] of Object.entries(OPTIONS)) text = text.replaceAll(name, option);
    const note = error.mayHaveArrived ? '\nThe request may have arrived: look before you repeat a change.' : '';
    return { text: makeLinesVisible(`The service did not answer. ${text}${note}`), exitCode: EXIT.unreachable };
  }
  const { message, code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNRESET')
    return { text: `The connection broke in the middle of the answer: ${message}`, exitCode: EXIT.unreachable };
  if (error instanceof UsageError) return { text: message, exitCode: EXIT.couldNotRun };
  const exitCode = error instanceof ExportError ? EXIT.failed : EXIT.couldNotRun;
  return { text: makeLinesVisible(message), exitCode };
}

function describeProblem(problem: PasskeyProblem): Failure {
  const { status, slug, reason, detail, advice, invalid = [], requestId, retryAfterSeconds } = problem;
  const what = [`${String(status)} ${slug}`, reason, detail].filter((text) => text !== undefined).join(': ');
  const lines = [
    `${status >= 500 ? 'The service could not do it' : 'The service refused it'}: ${what}`,
    ...invalid.map((member) => `  ${member.pointer === '' ? 'the request' : member.pointer}: ${member.detail}`),
    advice,
    retryAfterSeconds === undefined ? undefined : `Try again in ${String(retryAfterSeconds)} seconds.`,
    requestId === undefined ? undefined : `Request ${requestId}, in the log of the service.`,
  ];
  const text = lines.filter((line) => line !== undefined).join('\n');
  return { text: makeLinesVisible(text), exitCode: status >= 500 ? EXIT.unreachable : EXIT.refused };
}

function makeLinesVisible(text: string): string {
  return text.split('\n').map(makeVisible).join('\n');
}
