import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

/**
 * The operations that the page may ask the console to pass on, by their names in src/openapi/openapi.yaml. A view that needs
 * another one adds it here. No ceremony is among them: the console signs nobody in.
 */
const OPERATIONS: readonly string[] = [
  'getCaller',
  ...['listAuditEvents', 'getAuditEvent', 'proveAuditEvent', 'exportAuditLog'],
  ...['getAuditCheckpoint', 'getAuditKeys', 'proveAuditConsistency'],
  'getStatistics',
  ...['listCredentials', 'getCredential', 'suspendCredential', 'reinstateCredential', 'revokeCredential', 'revokeUser'],
  ...['listRelyingParties', 'getRelyingParty', 'putRelyingParty', 'getRelatedOrigins', 'getMigrationProgress'],
  ...['listApprovals', 'getApproval', 'approveRequest', 'refuseRequest'],
];

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

interface Operation {
  readonly method: Method;
  readonly path: RegExp;
  readonly isPassedOn: boolean;
}

type Paths = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** The closed list of operations, with the methods and paths that the contract gives to all. */
export class Operations {
  readonly #operations: readonly Operation[];

  private constructor(operations: readonly Operation[]) {
    this.#operations = operations;
  }

  /** @param contract the document of the service */
  static read(contract = new URL('../../src/openapi/openapi.yaml', import.meta.url)): Operations {
    const { paths } = parse(readFileSync(contract, 'utf8')) as { paths: Paths };
    const all = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        method: method.toUpperCase() as Method,
        // A parameter is one segment of the path.
        path: new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
        parameters: path.split('{').length,
        isPassedOn: OPERATIONS.includes((operation as { operationId?: string }).operationId ?? ''),
      })),
    );
    // As the service does, /v1/credentials/export is not taken for the credential of the id `export`.
    return new Operations(all.toSorted((one, other) => one.parameters - other.parameters));
  }

  /**
   * Says if a request is one of the operations.
   *
   * @param path the path as the request has it, without its query
   */
  has(method: string | undefined, path: string): method is Method {
    // A segment of dots, in whatever spelling, would make another path of this one.
    const climbs = path.split('/').some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment));
    // What RFC 3986 §3.3 does not allow in a path, such as a backslash, a parser of URLs may read as it likes.
    const isPath = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})+$/.test(path);
    if (climbs || !isPath) return false;
    const found = this.#operations.find((known) => known.method === method && known.path.test(path));
    return found?.isPassedOn === true;
  }
}
