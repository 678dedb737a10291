import type { Readable } from 'node:stream';
import { Injectable, Logger } from '@nestjs/common';
import { describeDatabaseError } from '../http/database-unavailable.js';
import { Problem } from '../http/problem.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { AccessService } from './access.service.js';
import type { Permission } from './permissions.js';
import { reauthorizeStream } from './reauthorize-stream.js';

/**
 * Maximum number of open exports per identity. An open export holds a page of rows in memory and queries the database for
 * the next one until it is read.
 */
const MAX_OPEN = 2;

interface Demand {
  readonly permission: Permission;
  /** What is counted and limited together. */
  readonly kind?: 'export' | 'import';
  /** The relying party whose data is exported; undefined: the lines are limited to those of the caller. */
  readonly rpId?: string;
}

/** Opens exports and imports: answers that run long, so their number is limited and their caller is authorized again and again. */
@Injectable()
export class OpenExports {
  private readonly logger = new Logger(OpenExports.name);
  private readonly open = new Map<string, number>();

  constructor(private readonly access: AccessService) {}

  /**
   * Opens an export, which ends when its caller loses the permission.
   *
   * @param begin records the export and returns its parts
   * @throws Problem rate-limited, and what `begin` throws
   */
  async begin(
    context: AuthorizedContext,
    { permission, rpId, kind = 'export' }: Demand,
    begin: () => Promise<AsyncIterable<Buffer>>,
  ): Promise<Readable> {
    const end = this.count(context.caller.spiffeId, kind);
    try {
      const isAuthorized = (): Promise<boolean> => this.access.isStillAllowed(context, permission, rpId);
      // The answer has begun, so it breaks off, and no filter sees the error.
      return reauthorizeStream(await begin(), isAuthorized)
        .once('close', end)
        .once('error', (error) => {
          if (!(error instanceof Problem)) this.reportBreak(context, kind, error);
        });
    } catch (error) {
      end();
      throw error;
    }
  }

  private reportBreak({ requestId }: AuthorizedContext, kind: string, error: Error): void {
    this.logger.error({ message: `an ${kind} broke off`, requestId, ...describeDatabaseError(error), error });
  }

  /** Counts an export of an identity. @returns a function that ends it */
  private count(identity: string, kind: string): () => void {
    const key = `${kind} ${identity}`;
    const open = this.open.get(key) ?? 0;
    if (open >= MAX_OPEN) {
      const detail = `the caller already has ${String(open)} open ${kind}s; the limit is ${String(MAX_OPEN)}`;
      throw new Problem('rate-limited', { retryAfter: 10, detail });
    }
    this.open.set(key, open + 1);
    return () => {
      const left = this.open.get(key)! - 1;
      if (left > 0) this.open.set(key, left);
      else this.open.delete(key);
    };
  }
}
