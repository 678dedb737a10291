import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import type { DataSource } from 'typeorm';
import { type LogKeys } from '../../src/audit-log/log-keys.js';
import { LogRepository } from '../../src/audit-log/log.repository.js';
import { AuditCheckpointEntity } from '../../src/audit-log/log.entities.js';
import { readSecretKeys } from '../../src/config/secret-keys.js';
import { parseNote } from '../../src/tlog/signed-note.js';
import type { Signed } from '../inventory/certificates.js';
import type { HeldKey } from '../inventory/keys.js';
import type { VerifiedLog } from './audit-log.js';
import { countDays, formatTable, type Part, type Sources } from './part.js';

/** The runbook replaces the keys of seals every year. */
const MAX_KEY_DAYS = 366;
const MIN_DAYS_LEFT = 30;

interface Age {
  /** When the key was in use at the latest; undefined if nothing tells. */
  readonly since: Date | undefined;
  readonly source: string;
}

/** Says how old keys, certificates and revocation lists are (PCI DSS 4.0.1 3.7.4, 4.2.1.1, 12.3.3). */
export async function describeKeyAges(
  sources: Sources,
  log: VerifiedLog,
  logKeys: LogKeys,
  dataSource: DataSource,
): Promise<Part> {
  const { inventory, now } = sources;
  const ages = new AgeFinder(sources, log, logKeys, await findFirstCheckpoint(dataSource));
  const keys = inventory.keys.map((key) => {
    const { since, source } = ages.find(key);
    return { ...key, inUseSince: since?.toISOString() ?? null, ageDays: since ? countDays(since, now) : null, source };
  });
  const signed = (list: readonly Signed[]) =>
    list.map((entry) => ({ ...entry, ageDays: countDays(new Date(entry.notBefore), now) }));
  const [certificates, lists] = [signed(inventory.certificates), signed(inventory.revocationLists)];
  const own = certificates.filter(({ where }) => where !== 'built in');
  return {
    file: 'key-ages.json',
    title: 'Ages of keys, certificates and revocation lists (3.7.4, 4.2.1.1, 12.3.3)',
    content: { keys, certificates, revocation: inventory.revocation, revocationLists: lists, faults: inventory.faults },
    summary: [
      ...formatTable(
        ['key', 'algorithm', 'in use since', 'days', 'as told by'],
        keys.map(({ what, algorithm, size, inUseSince, ageDays, source }) => [
          what,
          `${algorithm}, ${size}`,
          inUseSince ?? 'unknown',
          String(ageDays ?? ''),
          source,
        ]),
      ),
      '',
      ...formatTable(
        ['certificate or list', 'subject', 'from', 'until', 'days old', 'days left'],
        [...own, ...lists].map(({ what, subject, notBefore, notAfter, ageDays, daysLeft }) => [
          what,
          subject,
          notBefore,
          notAfter,
          String(ageDays),
          String(daysLeft),
        ]),
      ),
      '',
      `Built-in roots of attestations are in the file: ${String(certificates.length - own.length)} certificates.`,
    ],
    open: [
      ...keys
        .filter(({ ageDays }) => ageDays !== null && ageDays > MAX_KEY_DAYS)
        .map(
          ({ what, ageDays }) =>
            `The key that ${what} is ${String(ageDays)} days old: replace it, or say which cryptoperiod it has (3.7.4).`,
        ),
      ...own
        .filter(({ daysLeft }) => daysLeft < MIN_DAYS_LEFT)
        .map(({ what, subject, notAfter }) => `The certificate of ${subject} (${what}) ends at ${notAfter}.`),
      ...lists
        .filter(({ daysLeft }) => daysLeft < 0)
        .map(({ subject, notAfter }) => `The revocation list of ${subject} ended at ${notAfter}.`),
      ...(inventory.revocationLists.length === 0 ? [`There is no revocation list: ${inventory.revocation}.`] : []),
    ],
    faults: inventory.faults.map((fault) => `A key or a certificate could not be read: ${fault}.`),
  };
}

async function findFirstCheckpoint(dataSource: DataSource): Promise<AuditCheckpointEntity | undefined> {
  const [first] = await dataSource.getRepository(AuditCheckpointEntity).find({ order: { size: 'ASC' }, take: 1 });
  return first ?? new LogRepository(dataSource).findLatestCheckpoint();
}

/** Finds when a key was in use at the latest, by the best witness that there is. */
class AgeFinder {
  private readonly sealKeys: readonly string[];
  private sources = 0;

  constructor(
    private readonly given: Sources,
    private readonly log: VerifiedLog,
    private readonly logKeys: LogKeys,
    private readonly first: AuditCheckpointEntity | undefined,
  ) {
    this.sealKeys = listSealKeys(given);
  }

  find(key: HeldKey): Age {
    if (key.what.startsWith('authenticates the server')) return this.findServerAge(key);
    if (key.what.startsWith('signs the audit log')) return this.findAuditAge(key) ?? readFileAge(key.where);
    if (key.what.startsWith('source of'))
      return this.findSealAge(this.sealKeys[this.sources++]) ?? readFileAge(key.where);
    if (key.where === this.given.config.bindingKeyFile)
      return this.findSealAge(this.sealKeys[0]) ?? readFileAge(key.where);
    return readFileAge(key.where);
  }

  private findServerAge({ where }: HeldKey): Age {
    const server = this.given.inventory.certificates.find(({ what }) => what === 'server');
    if (!server) return readFileAge(where);
    return { since: new Date(server.notBefore), source: 'the certificate that was issued for it' };
  }

  private findAuditAge({ fingerprint }: HeldKey): Age | undefined {
    const signer = this.logKeys.signers.find(
      ({ key }) =>
        createHash('sha256')
          .update(key.publicKey.export({ type: 'spki', format: 'der' }))
          .digest('hex') === fingerprint,
    );
    if (!signer) return undefined;
    const { name, keyId } = signer.key;
    const change = this.log.tally
      .listEvents('audit.rekey')
      .find(({ facts }) => Array.isArray(facts['new_keys']) && facts['new_keys'].includes(`${name}+${keyId}`));
    if (change) return { since: new Date(change.time), source: 'the event audit.rekey' };
    const hasSigned = this.first && parseNote(this.first.note).signatures.some((each) => each.keyId === keyId);
    if (!hasSigned) return undefined;
    return { since: this.first.createdAt, source: 'the first checkpoint in the database' };
  }

  private findSealAge(id: string | undefined): Age | undefined {
    const added = this.log.tally.listEvents('seal-key.add').find(({ facts }) => facts['seal_key'] === id);
    return added && { since: new Date(added.time), source: `the event seal-key.add of ${id ?? ''}` };
  }
}

/** The ids are hashes of the keys. */
function listSealKeys({ config }: Sources): string[] {
  try {
    return readSecretKeys(config).seals.map(({ id }) => id);
  } catch {
    // The inventory names the file as a fault.
    return [];
  }
}

function readFileAge(path: string): Age {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? { since: stat.mtime, source: 'the last change of its file' } : { since: undefined, source: 'nothing' };
}
