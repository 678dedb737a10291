/**
 * Sends lines to `POST /v1/credentials/import` in one request, and gives the verdict of each while it comes. A request that breaks off
 * is followed by another, from the first line without a verdict; the import itself does a line only once.
 */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ImportedExport } from '../../src/portability/import-frame.js';
import { LineSplitter } from '../../src/tlog/lines.js';
import { describeAnswer, readBody, readRetryAfter, type ServiceCaller } from '../service/service-caller.js';
import { LineFeed } from './line-feed.js';

interface LineProblem {
  readonly type?: string;
  readonly title?: string;
  readonly status?: number;
  readonly reason?: string;
  readonly detail?: string;
  readonly invalid?: readonly { readonly detail: string }[];
}

/** What became of a line. */
export interface LineVerdict {
  /** From 1, in the file. */
  readonly line: number;
  readonly credentialId?: string | null;
  readonly verdict: string;
  readonly problem?: LineProblem;
}

/** The last line of an answer. */
interface AnswerEnd {
  readonly complete: boolean;
  readonly problem?: LineProblem;
}

/** The service refuses the rest of the import. */
export class ImportRefusal extends Error {
  override readonly name = 'ImportRefusal';
}

export interface ImportOptions {
  readonly rpId: string;
  readonly dryRun: boolean;
  /** The lines before it are passed over. From 1. */
  readonly firstLine: number;
  /** Called before a try that follows a broken one. */
  readonly onRetry: (reason: string) => void;
  /** Called at the end if the lines are those of an export. The service does not see those that frame it. */
  readonly onExport: (found: ImportedExport) => void;
}

/** Tries without a new verdict until the import gives up: as long as a service may take to start again. */
const TRIES = 12;
/** Tries until the first verdict. */
const FIRST_TRIES = 2;
const MAX_PAUSE_SECONDS = 30;
const LATER: ReadonlySet<number> = new Set([429, 503]);
/** The verdict of a line from which on the lines are sent again. */
const UNAVAILABLE = 'unavailable';

/**
 * Imports lines of JSON.
 *
 * @throws ImportRefusal, or Error when the service does not answer
 */
export async function* importLines(
  service: Pick<ServiceCaller, 'open'>,
  chunks: AsyncIterable<Buffer>,
  { firstLine, onExport, ...options }: ImportOptions,
): AsyncGenerator<LineVerdict> {
  const feed = new LineFeed(chunks, firstLine);
  yield* sendAll(service, feed, options);
  const found = feed.describeExport();
  if (found) onExport(found);
}

async function* sendAll(
  service: Pick<ServiceCaller, 'open'>,
  feed: LineFeed,
  { onRetry, ...options }: Omit<ImportOptions, 'firstLine' | 'onExport'>,
): AsyncGenerator<LineVerdict> {
  let [tried, patience] = [0, FIRST_TRIES];
  while (!(await feed.isExhausted())) {
    const from = feed.nextLine;
    const { reason = `the answer has no verdict for line ${String(feed.nextLine)}`, retryAfter } = yield* sendOnce(
      service,
      feed,
      options,
    );
    if (await feed.isExhausted()) return;
    if (feed.nextLine > from) [tried, patience] = [0, TRIES];
    tried += 1;
    if (tried >= patience) throw new Error(reason);
    onRetry(reason);
    await sleep(Math.min(retryAfter ?? 2 ** (tried - 1), MAX_PAUSE_SECONDS) * 1_000);
  }
}

interface RequestEnd {
  /** Why lines are left without a verdict; undefined if the service says that none are. */
  readonly reason?: string;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
}

async function* sendOnce(
  service: Pick<ServiceCaller, 'open'>,
  feed: LineFeed,
  { rpId, dryRun }: Pick<ImportOptions, 'rpId' | 'dryRun'>,
): AsyncGenerator<LineVerdict, RequestEnd> {
  const query = new URLSearchParams({ rpId, firstLine: String(feed.nextLine), ...(dryRun && { dryRun: 'true' }) });
  const body = Readable.from(feed.send());
  try {
    const path = `/v1/credentials/import?${query.toString()}`;
    const answer = await service.open('POST', path, { type: 'application/x-ndjson', body });
    if (answer.statusCode !== 200) return await readRefusal(answer);
    let isWhole = true;
    for await (const line of readLines(answer)) {
      if ('complete' in line) return readEnd(line);
      isWhole &&= line.verdict !== UNAVAILABLE;
      if (!isWhole) continue;
      feed.release(line.line);
      yield line;
    }
    return { reason: 'the answer ended before its last line' };
  } catch (error) {
    if (error instanceof ImportRefusal) throw error;
    return { reason: (error as Error).message };
  } finally {
    body.destroy();
  }
}

/** @throws ImportRefusal unless the service may take the request later */
async function readRefusal(answer: IncomingMessage): Promise<RequestEnd> {
  const [status, retryAfter] = [answer.statusCode ?? 0, readRetryAfter(answer)];
  const reason = describeAnswer({ status, body: await readBody(answer) });
  if (!LATER.has(status)) throw new ImportRefusal(reason);
  return { reason, retryAfter };
}

/** @throws ImportRefusal unless the service may take the rest later */
function readEnd({ complete, problem = {} }: AnswerEnd): RequestEnd {
  if (complete) return {};
  const { status = 0 } = problem;
  const reason = describeAnswer({ status, body: { ...problem } });
  if (!LATER.has(status)) throw new ImportRefusal(reason);
  return { reason };
}

async function* readLines(answer: IncomingMessage): AsyncGenerator<LineVerdict | AnswerEnd> {
  const splitter = new LineSplitter();
  for await (const chunk of answer as AsyncIterable<Buffer>)
    for (const text of splitter.push(chunk)) yield JSON.parse(text) as LineVerdict | AnswerEnd;
}
