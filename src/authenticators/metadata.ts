import { X509Certificate } from 'node:crypto';
import { isText } from '../http/validators.js';
import { sortReports, type StatusReport } from './status-reports.js';

/** A metadata file that cannot be used. The message tells its provider why, in the words of the specification. */
export class MetadataError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MetadataError';
  }
}

/** The part of a BLOB's payload that the service keeps (FIDO Metadata Service v3.1 §3.1.6). */
export interface Metadata {
  /** Serial number. Each BLOB has a higher one than the BLOB before. */
  readonly no: number;
  /** The day, at midnight UTC, by which the next BLOB appears. */
  readonly nextUpdate: Date;
  /** Keys are AAGUIDs in lower case. */
  readonly models: ReadonlyMap<string, AuthenticatorModel>;
  /** One line for each part that could not be read. */
  readonly skipped: readonly string[];
}

/** The parts of an entry and its metadata statement that the service keeps (FIDO Metadata Statement v3.1 §4). */
export interface AuthenticatorModel {
  readonly description: string | undefined;
  /** A `data:` URL of an image. */
  readonly icon: string | undefined;
  /** attestationRootCertificates in PEM: roots, or the attestation certificates themselves. */
  readonly roots: readonly string[];
  /** Sorted by date (status-reports.ts). */
  readonly reports: readonly StatusReport[];
}

type Members = Readonly<Record<string, unknown>>;

const AAGUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const ICON = /^data:image\/[a-z+.-]+;base64,[A-Za-z0-9+/]+=*$/;
/** Longer icons are left out, because every answer that shows a credential carries the icon. */
const MAX_ICON_CHARACTERS = 64 * 1_024;

/**
 * Reads a payload. A mistake in its serial number or its date refuses all of it. An entry, a status report or a member
 * of a statement that cannot be read is skipped and reported, so that reports about other models are not lost. Entries
 * without an AAGUID (UAF, U2F) are ignored.
 *
 * @throws MetadataError
 */
export function readMetadata(payload: unknown): Metadata {
  const { no, nextUpdate, entries } = toMembers(payload);
  if (typeof no !== 'number' || !Number.isSafeInteger(no) || no < 0)
    throw new MetadataError('`no` is not a serial number');
  const day = parseDay(nextUpdate);
  if (day === null) throw new MetadataError('`nextUpdate` is not a date');
  if (!Array.isArray(entries)) throw new MetadataError('`entries` is not a list');
  const models = new Map<string, AuthenticatorModel>();
  const skipped: string[] = [];
  const certificates = new Map<string, string | undefined>();
  for (const [index, entry] of entries.map(toMembers).entries()) {
    const { aaguid: named } = entry;
    if (named === undefined) continue;
    const aaguid = typeof named === 'string' ? named.toLowerCase() : '';
    const place = `entries[${String(index)}]`;
    if (AAGUID.test(aaguid)) {
      const model = readModel(entry, place, certificates, skipped);
      models.set(aaguid, mergeReports(model, models.get(aaguid)));
    } else skipped.push(`${place}: its aaguid is not an AAGUID`);
  }
  return { no, nextUpdate: day, models, skipped };
}

/** Merges a second entry for a model: the first entry describes the model, and the reports of both count. */
function mergeReports(model: AuthenticatorModel, first: AuthenticatorModel | undefined): AuthenticatorModel {
  return first ? { ...first, reports: sortReports([...first.reports, ...model.reports]) } : model;
}

function readModel(
  entry: Members,
  place: string,
  certificates: Map<string, string | undefined>,
  skipped: string[],
): AuthenticatorModel {
  const { description, icon, attestationRootCertificates } = toMembers(entry['metadataStatement']);
  const skipUnless = (holds: boolean, what: string): boolean => {
    if (!holds) skipped.push(`${place}: ${what}`);
    return holds;
  };
  const roots = keepTexts(attestationRootCertificates).map((text) => parseCertificateOnce(text, certificates));
  skipUnless(!roots.includes(undefined), 'an entry of its attestationRootCertificates is not a certificate');
  const named = skipUnless(description === undefined || isText(description, 1, 200), 'its description is not a name');
  const shown = skipUnless(icon === undefined || isIcon(icon), 'its icon is not an image in a data URL, or too large');
  return {
    description: named ? (description as string | undefined) : undefined,
    icon: shown ? (icon as string | undefined) : undefined,
    roots: roots.filter((root) => root !== undefined),
    reports: sortReports(readReports(entry['statusReports'], place, skipped)),
  };
}

/** Reads status reports. An absent list counts as empty. */
function readReports(reports: unknown, place: string, skipped: string[]): StatusReport[] {
  if (reports !== undefined && !Array.isArray(reports)) skipped.push(`${place}: statusReports is not a list`);
  const list: unknown[] = Array.isArray(reports) ? reports : [];
  return list.flatMap((report, index) => {
    const { status, effectiveDate } = toMembers(report);
    if (typeof status === 'string') return [{ status, effectiveDate: parseDay(effectiveDate) }];
    skipped.push(`${place}: statusReports[${String(index)}] has no status`);
    return [];
  });
}

function parseDay(value: unknown): Date | null {
  const date = typeof value === 'string' && DAY.test(value) ? new Date(`${value}T00:00:00Z`) : undefined;
  return date && !Number.isNaN(date.getTime()) ? date : null;
}

/** Parses a certificate once and keeps the result, because makers use one root for many models. */
function parseCertificateOnce(base64: string, certificates: Map<string, string | undefined>): string | undefined {
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

function toMembers(value: unknown): Members {
  return typeof value === 'object' && value !== null ? (value as Members) : {};
}

function keepTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}
