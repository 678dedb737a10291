import { X509Certificate } from 'node:crypto';
import { isText } from '../contract/is-text.js';
import { MetadataError } from './metadata-error.js';
import { inOrder, type StatusReport } from './status-reports.js';

/** What is kept of a BLOB's payload (FIDO Metadata Service v3.1 §3.1.6). */
export interface Metadata {
  /** Serial number; each BLOB has a higher one than the one before. */
  readonly no: number;
  /** The day, at midnight UTC, on which the next BLOB is there at the latest. */
  readonly nextUpdate: Date;
  /** By AAGUID, in lower case. */
  readonly models: ReadonlyMap<string, AuthenticatorModel>;
}

/** What is kept of an entry and its metadata statement (FIDO Metadata Statement v3.1 §4). */
export interface AuthenticatorModel {
  readonly description: string | undefined;
  /** A `data:` URL of an image. */
  readonly icon: string | undefined;
  /** attestationRootCertificates, PEM: roots, and also the attestation certificates themselves. */
  readonly roots: readonly string[];
  readonly attestationTypes: readonly string[];
  /** In order (status-reports.ts). */
  readonly reports: readonly StatusReport[];
}

type Members = Readonly<Record<string, unknown>>;

const AAGUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const ICON = /^data:image\/[a-z+.-]+;base64,[A-Za-z0-9+/]+=*$/;
/** A longer one is left out: it would be in every answer that shows a credential. */
const MAX_ICON_CHARACTERS = 64 * 1_024;

/**
 * A mistake in what decides refuses the whole; a statement's mistake only leaves that member out. Entries without AAGUID
 * (UAF, U2F) are passed over.
 *
 * @throws MetadataError
 */
export function readMetadata(payload: unknown): Metadata {
  const { no, nextUpdate, entries } = membersOf(payload);
  if (typeof no !== 'number' || !Number.isSafeInteger(no) || no < 0) throw new MetadataError('no is no serial number');
  const day = dayOf(nextUpdate);
  if (day === null) throw new MetadataError('nextUpdate is no date');
  if (!Array.isArray(entries)) throw new MetadataError('entries is no list');
  const models = new Map<string, AuthenticatorModel>();
  const certificates = new Map<string, string | undefined>();
  for (const entry of entries.map(membersOf)) {
    if (entry['aaguid'] === undefined) continue;
    const aaguid = aaguidOf(entry['aaguid']);
    if (models.has(aaguid)) throw new MetadataError(`${aaguid} has two entries`);
    models.set(aaguid, modelOf(entry, aaguid, certificates));
  }
  return { no, nextUpdate: day, models };
}

function aaguidOf(value: unknown): string {
  const aaguid = typeof value === 'string' ? value.toLowerCase() : '';
  if (!AAGUID.test(aaguid)) throw new MetadataError(`an entry has the AAGUID ${JSON.stringify(value)}`);
  return aaguid;
}

function modelOf(entry: Members, aaguid: string, certificates: Map<string, string | undefined>): AuthenticatorModel {
  const { description, icon, attestationRootCertificates, attestationTypes } = membersOf(entry['metadataStatement']);
  return {
    description: isText(description, 1, 200) ? description : undefined,
    icon: isIcon(icon) ? icon : undefined,
    roots: textsOf(attestationRootCertificates).flatMap((text) => pemOf(text, certificates) ?? []),
    attestationTypes: textsOf(attestationTypes),
    reports: inOrder(reportsOf(entry['statusReports'], aaguid)),
  };
}

/** An absent list is an empty one; anything else that cannot be read could hide a compromise. */
function reportsOf(reports: unknown, aaguid: string): StatusReport[] {
  if (reports !== undefined && !Array.isArray(reports)) throw new MetadataError(`${aaguid}: statusReports is no list`);
  return (reports ?? []).map((report) => {
    const { status, effectiveDate } = membersOf(report);
    if (typeof status !== 'string') throw new MetadataError(`${aaguid}: a status report has no status`);
    return { status, effectiveDate: dayOf(effectiveDate) };
  });
}

function dayOf(value: unknown): Date | null {
  const date = typeof value === 'string' && DAY.test(value) ? new Date(`${value}T00:00:00Z`) : undefined;
  return date && !Number.isNaN(date.getTime()) ? date : null;
}

/** Makers use one root for many models: each is parsed and kept once. */
function pemOf(base64: string, certificates: Map<string, string | undefined>): string | undefined {
  if (!certificates.has(base64)) {
    try {
      certificates.set(base64, new X509Certificate(Buffer.from(base64, 'base64')).toString());
    } catch {
      certificates.set(base64, undefined);
    }
  }
  return certificates.get(base64);
}

function isIcon(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_ICON_CHARACTERS && ICON.test(value);
}

function membersOf(value: unknown): Members {
  return typeof value === 'object' && value !== null ? (value as Members) : {};
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}
