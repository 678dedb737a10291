import { readConsole } from '../shell/api.js';
import { Problem } from '../shell/problem.js';

/** What one indicator of readiness says. */
export interface Indicator {
  readonly name: string;
  readonly isUp: boolean;
  readonly details: readonly (readonly [name: string, value: string])[];
  /** Such as `docs/runbook.md#the-database-is-away`. */
  readonly runbook: string | undefined;
}

interface Readiness {
  readonly details?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Reads the readiness of one replica. A replica that is not ready answers 503, and says why all the same. @throws Problem */
export async function readIndicators(): Promise<Indicator[]> {
  const answer = await readConsole('management/ready').then(
    (response) => response.json() as Promise<Readiness>,
    (error: unknown) => {
      // The body of the 503 is what the page came for.
      if (error instanceof Problem && error.body.status === 503 && 'details' in error.body)
        return error.body as unknown as Readiness;
      throw error;
    },
  );
  return describeReadiness(answer);
}

export function describeReadiness({ details = {} }: Readiness): Indicator[] {
  return Object.entries(details).map(([name, { status, runbook, ...rest }]) => ({
    name,
    isUp: status === 'up',
    details: Object.entries(rest).map(
      ([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)] as const,
    ),
    runbook: typeof runbook === 'string' ? runbook : undefined,
  }));
}
