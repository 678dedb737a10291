import { call, readConsole, type Schemas } from './api.js';

/** A permission, as `x-permission` of src/openapi/openapi.yaml names it. */
export type Permission = `${string}:${string}`;

/** Who started the console, as the service knows that identity. */
export interface Caller {
  readonly id: string;
  readonly permissions: ReadonlySet<string>;
  /** The relying parties for which the identity may act; null: all. */
  readonly relyingParties: readonly string[] | null;
  /** The rest of the answer. */
  readonly grant: Schemas['Caller'];
  /** The address of the service. */
  readonly service: string;
  /** Says if the console can read the management listener. */
  readonly hasManagement: boolean;
}

/** @throws Problem */
export async function readCaller(): Promise<Caller> {
  const [grant, console] = await Promise.all([call('get', '/v1/caller', {}), readConsole('console')]);
  const { service, management } = (await console.json()) as { service: string; management: boolean };
  const { id, permissions, relyingParties } = grant;
  return { id, permissions: new Set(permissions), relyingParties, grant, service, hasManagement: management };
}

/** The last part of a SPIFFE ID, by which people call an identity. */
export function shortenId(id: string): string {
  return id.replace(/^spiffe:\/\/[^/]+\//, '');
}
