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
  'days left': ({ daysLeft }) => (daysLeft < 0 ? `none, ended ${String(-daysLeft)} days ago` : String(daysLeft)),
  holds: ({ holds }) => holds,
  'signed by': ({ signature }) => signature,
  'post-quantum': ({ postQuantum }) => postQuantum,
  where: ({ where }) => where,
};

const PQ = { 'post-quantum': ({ postQuantum }: { postQuantum: string }) => postQuantum };

/** The width of a terminal. Only a value that has no space, such as a path, makes a longer line. */
const WIDTH = 80;

/** Formats the inventory for a person: a section for each kind, and a line for each entry or, where that is too long, a block. */
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
  const rows = entries.map((entry) => Object.values(columns).map((cellOf) => cellOf(entry)));
  const lines = formatTable([head, ...rows]);
  const fits = lines.every((line) => line.length <= WIDTH);
  return [title, '='.repeat(title.length), ...(fits ? lines : formatBlocks(head, rows))].join('\n');
}

function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at]!))
      .join('  ')
      .trimEnd(),
  );
}

/** Formats each entry as its first cell, and below it a line for each of the others that is not empty. */
function formatBlocks(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const shown = head.slice(1).filter((_, at) => rows.some((row) => row[at + 1] !== ''));
  const width = Math.max(...shown.map((name) => name.length));
  return rows.flatMap((row) => [
    row[0]!,
    ...head.flatMap((name, at) => (at === 0 || row[at] === '' ? [] : wrapCell(name.padEnd(width), row[at]!))),
  ]);
}

/** Breaks a value between words, and below its name if it has no space and is too long. */
function wrapCell(name: string, value: string): string[] {
  const [indent, room] = [' '.repeat(name.length + 4), WIDTH - name.length - 4];
  const lines: string[] = [''];
  for (const word of value.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > room) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  if (lines.some((line) => line.length > room)) return [`  ${name.trimEnd()}`, ...lines.map((line) => `    ${line}`)];
  return lines.map((line, at) => (at === 0 ? `  ${name}  ${line}` : `${indent}${line}`));
}
