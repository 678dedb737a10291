import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { OpenExports } from '../access/open-exports.js';
import { NoLongerAuthorized } from '../access/reauthorize-stream.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { demandLines, type Line, readLines } from '../http/line-body.js';
import { createMalformedProblem, Problem } from '../http/problem.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { RelyingPartiesService } from '../relying-parties/relying-parties.service.js';
import { SealRegister } from '../seals/seal-register.js';
import { type CredentialLine, MAX_LINE_BYTES, parseCredentialLine } from './credential-line.js';
import { DryRunMemory } from './dry-run-memory.js';
import { ImportBatch, type ImportTask, type Judgement, LINES_OF_A_TURN } from './import-batch.js';
import { ImportFrame } from './import-frame.js';
import { VERDICTS, type Verdict } from './judge-line.js';

interface ImportRequest {
  readonly rpId: string;
  readonly dryRun: boolean;
  readonly firstLine: number;
}

const PERMISSION = 'passkeys:import';
const STOPPING = { detail: 'the service stops; another replica takes the rest', retryAfter: 1 };

/** Imports passkeys from lines that are read while they arrive, and answers with a verdict for each. */
@Injectable()
export class ImportCredentials implements OnModuleDestroy {
  private readonly stop = new AbortController();

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly access: AccessService,
    private readonly parties: RelyingPartiesService,
    private readonly imports: OpenExports,
    private readonly batches: ImportBatch,
    private readonly seals: SealRegister,
  ) {}

  /** Ends imports that are under way. What has a verdict is stored. */
  onModuleDestroy(): void {
    this.stop.abort(new Problem('unavailable', STOPPING));
  }

  /** @throws Problem relying-party-denied, relying-party-unknown, rate-limited */
  async open(context: AuthorizedContext, request: ImportRequest, body: unknown): Promise<Readable> {
    const { rpId, dryRun } = request;
    await this.access.authorizeRelyingParty(context, rpId);
    await this.parties.getEnabled(rpId);
    const lines = demandLines(body);
    const task = { context, rpId, memory: dryRun ? new DryRunMemory() : undefined };
    return this.imports.begin(context, { permission: PERMISSION, rpId, kind: 'import' }, () =>
      Promise.resolve(this.answer(task, request, lines)),
    );
  }

  /** The last line has the counts, and, if not every line has a verdict, why and where to go on. */
  private async *answer(
    task: ImportTask,
    { dryRun, firstLine }: ImportRequest,
    body: Readable,
  ): AsyncGenerator<Buffer> {
    const counts = Object.fromEntries(VERDICTS.map((verdict) => [verdict, 0])) as Record<Verdict, number>;
    const { requestId } = task.context;
    const frame = new ImportFrame(firstLine);
    let nextLine = firstLine;
    let problem: Problem | undefined;
    try {
      const limits = { firstLine, maxLine: MAX_LINE_BYTES, signal: this.stop.signal };
      for await (const lines of readLines(body, limits)) {
        // The answer ends when the caller loses the permission, but what arrives then would be stored before that shows.
        if (!(await this.access.isStillAllowed(task.context, PERMISSION, task.rpId))) throw new NoLongerAuthorized();
        const verdicts = await this.judge(task, lines, frame);
        for (const { verdict } of verdicts) counts[verdict] += 1;
        yield encode(verdicts);
        const missed = verdicts.find(({ verdict }) => verdict === 'unavailable');
        nextLine = missed?.line ?? lines.at(-1)!.number + 1;
        if (missed) throw new Problem('unavailable', { retryAfter: 1 });
      }
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problem = error;
    }
    const summary = { counts, nextLine, dryRun, complete: !problem, problem: problem?.toBody(requestId) };
    yield encode([{ ...summary, export: problem ? undefined : frame.describe() }]);
  }

  private async judge(
    task: ImportTask,
    lines: readonly Line[],
    frame: ImportFrame,
  ): Promise<(Record<string, unknown> & { line: number; verdict: Verdict })[]> {
    if (this.seals.cannotSeal) throw new Problem('unavailable', { retryAfter: 5 });
    const read = new Map<number, CredentialLine>();
    const judged = new Map<number, Judgement>();
    for (const [index, line] of lines.entries()) {
      if (index % LINES_OF_A_TURN === 0) await setImmediate();
      if (frame.take(line)) continue;
      const parsed = this.parse(task, line);
      if (parsed instanceof Problem) judged.set(line.number, { verdict: 'malformed', problem: parsed });
      else read.set(line.number, parsed);
    }
    const judgements = await this.batches.run(task, [...read.values()]);
    for (const [index, number] of [...read.keys()].entries()) judged.set(number, judgements[index]!);
    return lines.flatMap(({ number }) => {
      const judgement = judged.get(number);
      if (!judgement) return [];
      const { verdict, problem } = judgement;
      const credentialId = read.get(number)?.credentialId.toString('base64url') ?? null;
      return { line: number, credentialId, verdict, problem: problem?.toBody(task.context.requestId) };
    });
  }

  private parse({ rpId }: ImportTask, { bytes }: Line): CredentialLine | Problem {
    if (!bytes) return createMalformedProblem(`the line is longer than ${String(MAX_LINE_BYTES)} bytes`);
    try {
      return parseCredentialLine(bytes, { rpId, now: this.clock.now() });
    } catch (error) {
      if (error instanceof Problem) return error;
      throw error;
    }
  }
}

function encode(lines: readonly object[]): Buffer {
  return Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}
