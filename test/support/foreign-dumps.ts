import { readFileSync } from 'node:fs';
import { readPasskeys, type Tally } from '../../commands/passkeys/read-passkeys.js';
import type { PasskeyLine, SourceName } from '../../commands/passkeys/sources.js';

/** Dumps of servers that really ran, and what the authenticators hold. */
export const MOVED_PASSKEYS = 'test/vectors/moved-passkeys';

interface ReadDump {
  readonly lines: PasskeyLine[];
  /** `line: fault` */
  readonly faults: string[];
  readonly tally: Tally;
}

/** Reads a dump. */
export async function readDump(source: SourceName, dump: string | Buffer, rpId?: string): Promise<ReadDump> {
  const tally: Tally = { rows: 0, passkeys: 0, faults: 0, others: 0 };
  const [lines, faults]: [PasskeyLine[], string[]] = [[], []];
  const onFault = (line: number, fault: string) => faults.push(`${String(line)}: ${fault}`);
  async function* chunks(): AsyncGenerator<Buffer> {
    yield await Promise.resolve(Buffer.from(dump));
  }
  for await (const line of readPasskeys(chunks(), { source, rpId, tally, onFault, onIgnored: () => undefined }))
    lines.push(line);
  return { lines: JSON.parse(JSON.stringify(lines)) as PasskeyLine[], faults, tally };
}

/** Writes a row as psql writes CSV. */
export const toCsv = (row: Readonly<Record<string, string>>): string =>
  [Object.keys(row), Object.values(row)]
    .map((values) =>
      values.map((value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value)).join(','),
    )
    .join('\n');

/** A COSE_Key, in base64. */
export const COSE = readFileSync(`${MOVED_PASSKEYS}/better-auth.csv`, 'utf8').split('\n')[2]!.split(',')[2]!;
export const KEY = Buffer.from(COSE, 'base64');
export const ID = Buffer.alloc(16, 0xfe);
/** What a line holds of them. */
export const LINE = { credentialId: ID.toString('base64url'), publicKey: KEY.toString('base64url') };
