import type { Signed } from './certificates.js';
import type { Inventory } from './inventory.js';

type Columns<Entry> = Readonly<Record<string, (entry: Entry) => string>>;

const SIGNED: Columns<Signed> = {
  '': ({ what }) => what,
  subject: ({ subject }) => subject,
  issuer: ({ issuer, subject }) => (issuer === subject ? 'itself' : issuer),
  serial: ({ serial }) => serial,
  from: ({ notBefore }) => notBefore.slice(0, 10),
  until: ({ notAfter }) => notAfter.slice(0, 10),
  'days left': ({ daysLeft }) => String(daysLeft),
  holds: ({ holds }) => holds,
  'signed by': ({ signature }) => signature,
  'post-quantum': ({ postQuantum }) => postQuantum,
  where: ({ where }) => where,
};

const PQ = { 'post-quantum': ({ postQuantum }: { postQuantum: string }) => postQuantum };

/** Formats the inventory for a person: a section for each kind, a line for each entry. */
export function formatInventory(inventory: Inventory): string {
  const { software, database, webauthn, service, keys, certificates, revocationLists, faults } = inventory;
  const sections = [
    formatSection('Software', Object.entries({ taken: inventory.time, ...software }), {
      '': ([name]) => name,
      version: ([, version]) => version,
    }),
    formatSection('Listener for callers, in order of preference', listOffers(inventory), {
      '': ({ what }) => what,
      algorithm: ({ name }) => name,
      ...PQ,
    }),
    formatSection('Database', [database], {
      server: ({ server }) => server,
      role: ({ role }) => role,
      requested: ({ settings }) => settings,
      negotiated: ({ agreed }) => agreed,
    }),
    formatSection('Signatures of passkeys', webauthn, {
      algorithm: ({ algorithm }) => algorithm,
      COSE: ({ cose }) => String(cose),
      '': ({ what }) => what,
      ...PQ,
    }),
    formatSection('Algorithms of the service', service, {
      '': ({ what }) => what,
      algorithm: ({ algorithm }) => algorithm,
      ...PQ,
      where: ({ where }) => where,
    }),
    formatSection('Keys', keys, {
      '': ({ what }) => what,
      algorithm: ({ algorithm }) => algorithm,
      size: ({ size }) => size,
      'SHA-256 of the public part': ({ fingerprint }) => fingerprint,
      ...PQ,
      where: ({ where }) => where,
    }),
    formatSection('Certificates', certificates, SIGNED),
    formatSection('Revocation lists', revocationLists, SIGNED),
    formatSection('Faults', faults, { 'could not be read': (fault) => fault }),
  ];
  return sections.filter((text) => text !== '').join('\n\n');
}

function listOffers({ listener, revocation }: Inventory): { what: string; name: string; postQuantum: string }[] {
  if (!listener) return [];
  const named = (what: string, names: readonly string[]) => names.map((name) => ({ what, name, postQuantum: '' }));
  return [
    ...named('protocol', listener.protocols),
    ...listener.cipherSuites.map((suite) => ({ what: 'cipher suite', ...suite })),
    ...listener.keyExchange.map((group) => ({ what: 'key exchange', ...group })),
    ...listener.signatures.map((signature) => ({ what: 'signature', ...signature })),
    ...named('ALPN', listener.alpn),
    ...named('revocation', [revocation]),
  ];
}

/** Formats one section; an empty one gives an empty string. */
function formatSection<Entry>(title: string, entries: readonly Entry[], columns: Columns<Entry>): string {
  if (entries.length === 0) return '';
  const head = Object.keys(columns);
  const rows = [head, ...entries.map((entry) => Object.values(columns).map((cellOf) => cellOf(entry)))];
  const widths = head.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [title, '='.repeat(title.length), ...lines].join('\n');
}
