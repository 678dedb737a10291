import { DataSource } from 'typeorm';

type Hook = 'onModuleDestroy' | 'beforeApplicationShutdown' | 'onApplicationShutdown';
/** In the order of Nest. */
const HOOKS: readonly Hook[] = ['onModuleDestroy', 'beforeApplicationShutdown', 'onApplicationShutdown'];

/**
 * The parts of an application that Nest is making. If one cannot be made, there is no application to close, and the others keep
 * what they have opened.
 */
export class MadeParts {
  private readonly parts = new Set<unknown>();
  private closed = false;

  /** Takes note of a part. @returns the part */
  readonly add = (part: unknown): unknown => {
    // Nest goes on to make other parts when one has failed.
    if (this.closed) void closeAll([part]);
    else this.parts.add(part);
    return part;
  };

  /** Closes all parts, and each one that is still to come. Never throws. */
  async close(): Promise<void> {
    this.closed = true;
    await closeAll([...this.parts].reverse());
  }
}

async function closeAll(parts: readonly unknown[]): Promise<void> {
  for (const hook of HOOKS) await Promise.allSettled(parts.map((part) => callHook(part, hook)));
  await Promise.allSettled(parts.map(closeDataSource));
}

async function callHook(part: unknown, hook: Hook): Promise<void> {
  const owner = part as Partial<Record<Hook, () => unknown>> | null | undefined;
  if (typeof owner?.[hook] === 'function') await owner[hook]();
}

/** TypeORM's module, which closes it otherwise, may not have been made. */
async function closeDataSource(part: unknown): Promise<void> {
  if (part instanceof DataSource && part.isInitialized) await part.destroy();
}
