/**
 * The plan of the source: floors from the ground up, and the rooms on each. A room imports from every room of the floors
 * below its own, and from a neighbour on its own floor only where `neighbours` names it. Types count as imports.
 *
 * `tools/check-rooms.ts` checks the source against this list and writes it into CONTRIBUTING.md.
 */
export interface Room {
  /** The folder, relative to the repository. */
  readonly path: string;
  /** Says in a sentence what the room is for. */
  readonly holds: string;
  /** The rooms on the same floor that it may import from. */
  readonly neighbours?: readonly string[];
}

export interface Floor {
  readonly name: string;
  readonly rooms: readonly Room[];
}

export const FLOORS: readonly Floor[] = [
  {
    name: 'Ground floor: knows nothing of the project',
    rooms: [
      { path: 'src/config', holds: 'Settings, secret keys, watched files and the clock.' },
      { path: 'src/x509', holds: 'PEM, DER, certification paths, revocation lists and SPIFFE IDs.' },
      {
        path: 'src/webauthn',
        holds: 'The ceremonies as pure functions, step by step. It alone imports SimpleWebAuthn.',
        neighbours: ['src/x509'],
      },
      {
        path: 'src/tlog',
        holds: 'The transparency log as a library: Merkle trees, notes, checkpoints, proofs, exports.',
      },
    ],
  },
  {
    name: 'First floor: infrastructure that knows no feature',
    rooms: [
      { path: 'src/telemetry', holds: 'Metrics and logs.' },
      {
        path: 'src/http',
        holds: 'Everything between socket and controller: strict JSON, validation, admission, problems, paging.',
        neighbours: ['src/telemetry'],
      },
      {
        path: 'src/database',
        holds: 'The data source, pools, named and batched statements, and migrations.',
        neighbours: ['src/http'],
      },
      {
        path: 'src/audit',
        holds: 'Records an event: the catalogue of events, OCSF, pseudonyms and the INSERT.',
        neighbours: ['src/telemetry', 'src/http', 'src/database'],
      },
    ],
  },
  {
    name: 'Second floor: who calls, and what the caller may do',
    rooms: [
      { path: 'src/identity', holds: 'The TLS listener, the trust store, connections and CallerGuard.' },
      {
        path: 'src/access',
        holds: 'The access policy, @Requires and PermissionGuard.',
        neighbours: ['src/identity'],
      },
    ],
  },
  {
    name: 'Third floor: features, each with its controller, service, entities and repository',
    rooms: [
      { path: 'src/relying-parties', holds: 'Relying parties, their origins and policies.' },
      { path: 'src/authenticators', holds: 'Names, FIDO metadata and attestation roots of authenticators.' },
      {
        path: 'src/challenges',
        holds: 'Issues challenges: options, decoys and the limits of users.',
        neighbours: ['src/relying-parties'],
      },
      {
        path: 'src/credentials',
        holds: 'Registers, verifies, lists and changes credentials, and erases users.',
        neighbours: ['src/relying-parties', 'src/authenticators', 'src/challenges'],
      },
      { path: 'src/audit-log', holds: 'Orders, signs, anchors, reads, proves and exports the recorded events.' },
      { path: 'src/openapi', holds: 'The HTTP contract, and the route that serves it.' },
    ],
  },
  {
    name: 'Development: left out of the image',
    rooms: [{ path: 'dev', holds: 'The embedded PostgreSQL and the development PKI.' }],
  },
  {
    name: 'Roof: what starts',
    rooms: [
      {
        path: 'src',
        holds: 'The service: main.ts, app.module.ts and src/app (start, stop, pipeline, management, workers).',
      },
      { path: 'commands/audit-archive', holds: 'Moves old months of the audit log into verified files.' },
      { path: 'commands/audit-report', holds: 'The daily review, as text and as a page.' },
      { path: 'commands/inventory', holds: 'The cryptographic inventory.' },
      {
        path: 'commands',
        holds: 'The programs of operators and auditors.',
        neighbours: ['src', 'commands/audit-archive', 'commands/audit-report', 'commands/inventory'],
      },
    ],
  },
];
