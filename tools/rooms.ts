import type { Floor } from './room.js';

/**
 * The plan of the source: floors from the ground up, and the rooms on each. A room imports from every room of the floors
 * below its own, and from a neighbour on its own floor only where `neighbours` names it. Types count as imports.
 *
 * `tools/check-rooms.ts` checks the source against this list and writes it into CONTRIBUTING.md.
 */
export const FLOORS: readonly Floor[] = [
  {
    name: 'Ground floor: knows nothing of the project',
    rooms: [
      {
        path: 'src/config',
        holds: 'Settings, secret keys, watched files, the clock and repeated work.',
        page: 'src/config/config.ts',
        neighbours: ['src/pkcs11'],
      },
      {
        path: 'src/pkcs11',
        holds: 'Keys that stay in a PKCS#11 token, and the program that talks to it.',
        page: 'src/pkcs11/token.ts',
      },
      {
        path: 'src/x509',
        holds: 'PEM, DER, certification paths, revocation lists and SPIFFE IDs.',
        page: 'src/x509/pem.ts',
      },
      {
        path: 'src/webauthn',
        holds: 'The ceremonies as pure functions, step by step. It alone imports SimpleWebAuthn.',
        page: 'src/webauthn/verify-registration.ts',
        neighbours: ['src/x509'],
      },
      {
        path: 'src/tlog',
        holds: 'The transparency log as a library: Merkle trees, notes, checkpoints, proofs, exports.',
        page: 'src/tlog/README.md',
      },
      {
        path: 'clients/typescript/src',
        holds: 'The typed client, a package of its own.',
        page: 'clients/typescript/README.md',
      },
    ],
  },
  {
    name: 'First floor: infrastructure that knows no feature',
    rooms: [
      { path: 'src/telemetry', holds: 'Metrics, logs and spans.', page: 'src/telemetry/telemetry.module.ts' },
      {
        path: 'src/http',
        holds: 'Everything between socket and controller: strict JSON, validation, admission, problems, paging.',
        page: 'src/http/request-context.ts',
        neighbours: ['src/telemetry'],
      },
      {
        path: 'src/database',
        holds: 'The data source, pools, named and batched statements.',
        page: 'src/database/database.module.ts',
        neighbours: ['src/telemetry', 'src/http', 'src/database/migrations'],
      },
      {
        path: 'src/database/migrations',
        holds: 'The schema, step by step.',
        page: 'src/database/migrations/README.md',
      },
      {
        path: 'src/anchors',
        holds: 'Delivers the checkpoints of the audit log to storage that the service does not control.',
        page: 'src/anchors/anchors.ts',
        neighbours: ['src/telemetry'],
      },
      {
        path: 'src/seals',
        holds: 'Seals of rows, by which the service notices what something else changed.',
        page: 'src/seals/seals.module.ts',
        neighbours: ['src/telemetry'],
      },
      {
        path: 'src/audit',
        holds: 'Records an event: the catalogue of events, OCSF, pseudonyms and the INSERT.',
        page: 'src/audit/audit.module.ts',
        neighbours: ['src/telemetry', 'src/http', 'src/database', 'src/seals'],
      },
      {
        path: 'src/push',
        holds: 'Sends messages to receivers that an operator allows, and connects to no other address.',
        page: 'src/push/push-sender.ts',
        neighbours: ['src/telemetry', 'src/audit'],
      },
      {
        path: 'src/signing-keys',
        holds: 'The keys that sign JWTs, and the sets by which others verify them.',
        page: 'src/signing-keys/signing-key-file.ts',
        neighbours: ['src/audit'],
      },
    ],
  },
  {
    name: 'Second floor: who calls, and what the caller may do',
    rooms: [
      {
        path: 'src/identity',
        holds: 'The TLS listener, the trust store, connections and CallerGuard.',
        page: 'src/identity/caller.guard.ts',
      },
      {
        path: 'src/access',
        holds: 'The access policy, @Requires and PermissionGuard.',
        page: 'src/access/access.module.ts',
        neighbours: ['src/identity'],
      },
    ],
  },
  {
    name: 'Third floor: features, each with its controller, service, entities and repository',
    rooms: [
      {
        path: 'src/approvals',
        holds: 'Requests that wait for the approval of a second identity.',
        page: 'src/approvals/approvals.module.ts',
      },
      {
        path: 'src/relying-parties',
        holds: 'Relying parties, their origins and policies.',
        page: 'src/relying-parties/relying-parties.module.ts',
        neighbours: ['src/approvals'],
      },
      {
        path: 'src/key-rotation',
        holds: 'Which keys seal: tells the database and the log.',
        page: 'src/key-rotation/key-rotation.module.ts',
        neighbours: ['src/approvals'],
      },
      {
        path: 'src/authenticators',
        holds: 'Names, FIDO metadata and attestation roots of authenticators.',
        page: 'src/authenticators/authenticators.module.ts',
      },
      {
        path: 'src/challenges',
        holds: 'Issues challenges: options, decoys and the limits of users.',
        page: 'src/challenges/challenges.module.ts',
        neighbours: ['src/relying-parties'],
      },
      {
        path: 'src/receipts',
        holds: 'Signs receipts of verified ceremonies, and publishes the keys.',
        page: 'src/receipts/receipts.module.ts',
        neighbours: ['src/authenticators', 'src/challenges'],
      },
      {
        path: 'src/signals',
        holds: 'Tells receivers what happens to passkeys (Shared Signals): streams, their outbox and its delivery.',
        page: 'src/signals/signals.module.ts',
        neighbours: ['src/authenticators'],
      },
      {
        path: 'src/credentials',
        holds: 'Registers, verifies, lists and changes credentials, and erases users.',
        page: 'src/credentials/credentials.module.ts',
        neighbours: [
          'src/approvals',
          'src/relying-parties',
          'src/authenticators',
          'src/challenges',
          'src/receipts',
          'src/signals',
        ],
      },
      {
        path: 'src/portability',
        holds: 'Moves passkeys in and out, as lines of JSON.',
        page: 'src/portability/credential-line.ts',
        neighbours: ['src/audit-log', 'src/authenticators', 'src/challenges', 'src/credentials', 'src/relying-parties'],
      },
      {
        path: 'src/confirmations',
        holds: 'Has users confirm transactions with a passkey.',
        page: 'src/confirmations/confirmations.module.ts',
        neighbours: ['src/challenges', 'src/credentials', 'src/receipts'],
      },
      {
        path: 'src/payments',
        holds: 'Has users confirm payments on the pages of merchants (Secure Payment Confirmation).',
        page: 'src/payments/payments.module.ts',
        neighbours: ['src/challenges', 'src/credentials', 'src/receipts', 'src/relying-parties'],
      },
      {
        path: 'src/audit-log',
        holds: 'Orders, signs, anchors, reads, proves and exports the recorded events.',
        page: 'src/audit-log/audit-log.module.ts',
      },
      {
        path: 'src/reconciliation',
        holds: 'Holds the rows of all tables against the recorded events, and seals them again.',
        page: 'src/reconciliation/reconciliation.module.ts',
        neighbours: ['src/approvals', 'src/challenges', 'src/credentials', 'src/relying-parties'],
      },
      {
        path: 'src/successors',
        holds: 'Counts the users who move to the successor of a relying party, and records the end.',
        page: 'src/successors/successors.module.ts',
        neighbours: ['src/relying-parties'],
      },
      {
        path: 'src/statistics',
        holds: 'Counts passkeys and ceremonies.',
        page: 'src/statistics/statistics.module.ts',
        neighbours: ['src/authenticators', 'src/credentials', 'src/relying-parties'],
      },
      {
        path: 'src/openapi',
        holds: 'The HTTP contract, and the route that serves it.',
        page: 'src/openapi/openapi.controller.ts',
      },
    ],
  },
  {
    name: 'Development: left out of the image',
    rooms: [
      { path: 'dev', holds: 'The embedded PostgreSQL and the development PKI.', page: 'dev/prepare-development.ts' },
    ],
  },
  {
    name: 'Roof: what starts',
    rooms: [
      {
        path: 'src',
        holds: 'The service: main.ts, app.module.ts and src/app (start, stop, pipeline, management, workers).',
        page: 'src/app/start-service.ts',
      },
      {
        path: 'commands/audit-archive',
        holds: 'Moves old months of the audit log into verified files.',
        page: 'commands/audit-archive.ts',
      },
      {
        path: 'commands/audit-report',
        holds: 'The daily review, as text and as a page.',
        page: 'commands/audit-report.ts',
      },
      {
        path: 'commands/reconcile',
        holds: 'Holds the database against its log and exports of it, and repeats what a restored one lost.',
        page: 'commands/reconcile.ts',
        neighbours: ['commands/service'],
      },
      {
        path: 'commands/console',
        holds: 'The server of the console: who may ask, and what it passes on.',
        page: 'commands/console/console-server.ts',
        neighbours: ['commands/service'],
      },
      {
        path: 'commands/service',
        holds: 'Calls the service as an operator.',
        page: 'commands/service/service-caller.ts',
      },
      {
        path: 'commands/payment-replay',
        holds: 'Shows years later that a passkey agreed to a payment.',
        page: 'commands/payment-replay/replay.ts',
      },
      {
        path: 'commands/passkeys',
        holds: 'Reads the passkeys of other products, and moves them in and out.',
        page: 'commands/passkeys/sources.ts',
        neighbours: ['commands/service'],
      },
      {
        path: 'commands/evidence',
        holds: 'What an assessor asks for, in files with a signed index.',
        page: 'commands/evidence.ts',
        neighbours: ['commands/audit-report', 'commands/inventory'],
      },
      { path: 'commands/inventory', holds: 'The cryptographic inventory.', page: 'commands/inventory.ts' },
      {
        path: 'commands',
        holds: 'The programs of operators and auditors.',
        page: 'commands/command-line.ts',
        neighbours: [
          ...['src', 'commands/audit-archive', 'commands/audit-report', 'commands/console'],
          ...['commands/evidence', 'commands/inventory', 'commands/passkeys'],
          ...['commands/payment-replay', 'commands/reconcile', 'commands/service'],
        ],
      },
      {
        path: 'commands/passkey-manager',
        holds: 'The command line of operators and auditors, with its sub-commands.',
        page: 'commands/passkey-manager/passkey-manager.ts',
        neighbours: ['commands', 'commands/audit-report', 'commands/inventory'],
      },
    ],
  },
];
