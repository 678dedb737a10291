/**
 * The products whose passkeys can be read, and what their tables look like. Each reader knows the columns, their encodings, and
 * which user handle the authenticators hold. What a table does not say is left out of the line: the service learns it at the next
 * sign-in. docs/portability-readers.md has the statement that dumps each table.
 */
import { CellFault, type Cells } from './cells.js';
import { readAttestedData, readPublicKey } from './public-key.js';

/** A line of `POST /v1/credentials/import`. */
export interface PasskeyLine {
  readonly credentialId: string;
  readonly userId: string;
  readonly userHandle?: string | undefined;
  /** COSE_Key in base64url, SubjectPublicKeyInfo as PEM, or a JSON Web Key. */
  readonly publicKey: unknown;
  /** COSE algorithm identifier: a SubjectPublicKeyInfo of an RSA key does not name it. */
  readonly algorithm?: number | undefined;
  readonly signCount: number;
  readonly backupEligible?: boolean | undefined;
  readonly backedUp?: boolean | undefined;
  readonly transports?: readonly string[] | undefined;
  readonly aaguid?: string | undefined;
  readonly name?: string | undefined;
  readonly createdAt?: string | undefined;
  readonly lastUsedAt?: string | undefined;
  readonly discoverable?: boolean | undefined;
  readonly source: string;
}

/** Reads the rows of one product. */
export interface Source {
  /** The product and its table. */
  readonly title: string;
  /** The columns without which no row can be read; one name of each list must be there. */
  readonly required: readonly (readonly string[])[];
  /** Every column that is read, for a table that is made for the reader: another one is a mistake. */
  readonly columns?: readonly string[];
  /** @returns undefined for a row that is no passkey @throws CellFault */
  read(cells: Cells): Omit<PasskeyLine, 'source'> | undefined;
}

const USER_ID = ['user_id'];
const CREDENTIAL_ID = ['credential_id', 'cred_id', 'id'];
const PUBLIC_KEY = ['public_key', 'credential_public_key', 'cred_public_key'];
const SIGN_COUNT = ['sign_count', 'signature_count', 'counter'];
const DEVICE_TYPE = ['device_type', 'credential_device_type'];
const BACKED_UP = ['backed_up', 'backup_state', 'backup_status', 'credential_backed_up'];
const NAME = ['name', 'label', 'nickname'];
const CREATED_AT = ['created_at', 'created'];
const LAST_USED_AT = ['last_used_at', 'last_used'];

/** The columns that most tables have. */
function readCommon(cells: Cells): Omit<PasskeyLine, 'source'> {
  const credentialId = cells.demand(cells.bytes(...CREDENTIAL_ID), ...CREDENTIAL_ID);
  const eligible = cells.flag('backup_eligible') ?? readDeviceType(cells);
  return {
    credentialId: credentialId.toString('base64url'),
    userId: cells.demand(cells.text(...USER_ID), ...USER_ID),
    publicKey: readPublicKey(cells, ...PUBLIC_KEY),
    signCount: cells.demand(cells.count(...SIGN_COUNT), ...SIGN_COUNT),
    backupEligible: eligible,
    backedUp: cells.flag(...BACKED_UP),
    transports: cells.words('transports', 'authenticator_transports'),
    aaguid: cells.uuid('aaguid'),
    name: readName(cells, ...NAME),
    createdAt: cells.time(...CREATED_AT),
    lastUsedAt: cells.time(...LAST_USED_AT),
  };
}

/** A name has at most this many characters, and none that cannot be shown. */
const MAX_NAME = 64;

/** A name is for people, so one that is too long is cut rather than refused. */
function readName(cells: Cells, ...names: string[]): string | undefined {
  const name = (cells.text(...names) ?? '')
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .toWellFormed();
  const characters = Array.from(name);
  if (characters.length <= MAX_NAME) return name === '' ? undefined : name;
  return `${characters.slice(0, MAX_NAME - 1).join('')}…`;
}

/** @returns true for a passkey that may be synced */
function readDeviceType(cells: Cells): boolean | undefined {
  const text = cells.text(...DEVICE_TYPE);
  if (text === undefined) return undefined;
  const type = text.toLowerCase().replace(/^.*\./, '').replaceAll('_', '');
  if (type !== 'multidevice' && type !== 'singledevice')
    throw new CellFault('device_type', 'is neither singleDevice nor multiDevice');
  return type === 'multidevice';
}

const handleOf = (bytes: Buffer | undefined): Pick<PasskeyLine, 'userHandle'> =>
  bytes ? { userHandle: bytes.toString('base64url') } : {};

/** A user handle has at most this many bytes (WebAuthn L3 §5.4.3). */
const MAX_HANDLE_BYTES = 64;

const HANKO: Source = {
  title: 'Hanko: webauthn_credentials, joined with webauthn_credential_transports and webauthn_credential_user_handles',
  required: [['id'], ['user_id'], ['public_key'], ['sign_count']],
  read(cells) {
    const { backupEligible, ...line } = readCommon(cells);
    const handle = cells.text('handle', 'user_handle');
    const isSecondFactor = cells.flag('mfa_only');
    return {
      ...line,
      // The handle is the UUID's 16 bytes. One that Hanko itself imported is the text in webauthn_credential_user_handles.
      ...handleOf(handle === undefined ? readUuidBytes(cells, 'user_id') : Buffer.from(handle, 'utf8')),
      // Hanko writes both flags at each sign-in, and last_used_at since it has them; the column's default is false.
      ...((backupEligible === true || line.lastUsedAt !== undefined) && { backupEligible }),
      ...(backupEligible !== true && line.lastUsedAt === undefined && { backedUp: undefined }),
      // Hanko asks for a discoverable credential, except for second factors.
      ...(isSecondFactor === false && { discoverable: true }),
    };
  },
};

function readUuidBytes(cells: Cells, name: string): Buffer {
  return Buffer.from(cells.demand(cells.uuid(name), name).replaceAll('-', ''), 'hex');
}

const BETTER_AUTH: Source = {
  title: 'Better Auth: passkey',
  required: [['credential_id'], ['user_id'], ['public_key'], ['counter']],
  // Better Auth makes a user handle for each registration and forgets it.
  read: readCommon,
};

const KEYCLOAK: Source = {
  title: 'Keycloak: CREDENTIAL, or FED_USER_CREDENTIAL for users of a federation',
  required: [['type'], ['user_id'], ['credential_data']],
  read(cells) {
    const type = cells.text('type');
    if (type !== 'webauthn' && type !== 'webauthn-passwordless') return undefined;
    const data = cells.demand(cells.object('credential_data'), 'credential_data');
    const userId = cells.demand(cells.text('user_id'), 'user_id');
    const handle = Buffer.from(userId, 'utf8');
    return {
      credentialId: data.demand(data.bytes('credential_id'), 'credentialId').toString('base64url'),
      userId,
      // The handle is the text of the user's id, not the bytes of the UUID.
      ...handleOf(handle.length <= MAX_HANDLE_BYTES ? handle : undefined),
      publicKey: readPublicKey(data, 'credentialPublicKey'),
      // Keycloak adds 1 at a sign-in, and does not keep the authenticator's number, which is this or higher.
      signCount: data.demand(data.count('counter'), 'counter'),
      transports: data.words('transports'),
      aaguid: data.uuid('aaguid'),
      name: readName(cells, 'user_label'),
      createdAt: cells.time('created_date'),
    };
  },
};

const USER = ['user_id', 'internal_user_id', 'user'];
const SWA_HANDLE = ['webauthn_user_id', 'user_handle'];

const SIMPLEWEBAUTHN: Source = {
  title: 'The table that the documentation of SimpleWebAuthn advises',
  required: [CREDENTIAL_ID, PUBLIC_KEY, USER, ['counter', 'sign_count']],
  read(cells) {
    const user = cells.value(...USER)?.value;
    const owner = typeof user === 'object' ? cells.object(...USER)?.text('id') : cells.text(...USER);
    const userId = cells.demand(owner, ...USER);
    return {
      ...readCommon(cells.with('user_id', userId)),
      ...handleOf(cells.bytes(...SWA_HANDLE)),
    };
  },
};

const PY_WEBAUTHN: Source = {
  title: 'A table of what py_webauthn’s VerifiedRegistration holds',
  required: [CREDENTIAL_ID, PUBLIC_KEY, ['user_id'], ['sign_count']],
  read: (cells) => ({ ...readCommon(cells), ...handleOf(cells.bytes('user_handle', 'webauthn_user_id')) }),
};

const W4J_HANDLE = ['user_entity_user_id', 'user_handle'];

const WEBAUTHN4J: Source = {
  title:
    'Spring Security: user_credentials, joined with user_entities; WebAuthn4J: its samples’ m_credential_record, or attested_credential_data',
  required: [
    ['user_id'],
    ['public_key', 'cose_key', 'attested_credential_data'],
    ['signature_count', 'counter', 'sign_count'],
  ],
  read(cells) {
    const attested = cells.bytes('attested_credential_data');
    const known = attested ? readAttestedData(attested) : undefined;
    const columns = known
      ? cells.with('credential_id', known.credentialId).with('public_key', known.publicKey).with('aaguid', known.aaguid)
      : cells.has('cose_key')
        ? cells.with('public_key', cells.value('cose_key')?.value)
        : cells;
    return { ...readCommon(columns), ...handleOf(cells.bytes(...W4J_HANDLE)) };
  },
};

/** The columns of our own CSV, by which any other table can be read. */
export const CSV_COLUMNS = {
  credentialId: 'hex, base64 or base64url',
  userId: 'the id by which auth-service knows the user',
  publicKey: 'COSE_Key or SubjectPublicKeyInfo in hex, base64 or base64url, or PEM, or a JSON Web Key',
  algorithm: 'a COSE algorithm such as -257, which an RSA key without it lacks',
  signCount: 'the number of the last sign-in; 0 if the authenticator does not count',
  userHandle: 'user.id of the registration in hex, base64 or base64url; empty if it was not kept',
  backupEligible: 'true or false; empty if it was not kept',
  backedUp: 'true or false; empty if it was not kept',
  transports: 'internal,hybrid or ["internal","hybrid"]',
  aaguid: 'a UUID',
  name: 'what the user called it',
  createdAt: 'RFC 3339, or seconds or milliseconds since 1970',
  lastUsedAt: 'the same',
  discoverable: 'true or false; empty if it was not kept',
} as const;

const CSV: Source = {
  title: 'Any table with the columns that --help lists',
  required: [['credentialId'], ['userId'], ['publicKey'], ['signCount']],
  columns: [...Object.keys(CSV_COLUMNS), 'rp_id'],
  read: (cells) => ({
    ...readCommon(cells),
    ...handleOf(cells.bytes('userHandle')),
    algorithm: cells.algorithm('algorithm'),
    discoverable: cells.flag('discoverable'),
  }),
};

export const SOURCES = {
  hanko: HANKO,
  'better-auth': BETTER_AUTH,
  keycloak: KEYCLOAK,
  simplewebauthn: SIMPLEWEBAUTHN,
  'py-webauthn': PY_WEBAUTHN,
  webauthn4j: WEBAUTHN4J,
  csv: CSV,
} as const satisfies Readonly<Record<string, Source>>;

export type SourceName = keyof typeof SOURCES;
