import { NOTE, SUMS } from './signed-index.js';
import { isMade, type Part, type Sources } from './part.js';

/** The names of the files that lead through the others. */
export const OVERVIEW = 'README.md';
export const INDEX = 'evidence.json';

/** The index as JSON, with everything that is open. */
export function makeIndex(
  { config, version, inventory, now }: Sources,
  origin: string,
  parts: readonly Part[],
): unknown {
  return {
    madeAt: now.toISOString(),
    deployment: config.deploymentName,
    log: origin,
    environment: config.production ? 'production' : 'development',
    version,
    software: inventory.software,
    parts: parts.filter(isMade).map(({ file, title, open, faults }) => ({ file, title, open, faults })),
    missing: parts
      .filter((part) => !isMade(part))
      .map(({ file, title, missing, open, faults }) => ({ file, title, reason: missing, open, faults })),
  };
}

/** The index for people: what is wrong, what is open, and the essence of each file. */
export function formatOverview(sources: Sources, origin: string, parts: readonly Part[]): string {
  const { config, version, now } = sources;
  const [faults, open] = [listFaults(parts), parts.flatMap((part) => part.open)];
  return [
    `# Evidence of Passkey Manager: ${config.deploymentName}`,
    '',
    `Made at ${now.toISOString()} by version ${version}, ${config.production ? 'in production' : 'in a development configuration'}. The log is \`${origin}\`.`,
    '',
    `\`${SUMS}\` lists every file with its SHA-256, and \`${NOTE}\` signs that list with the keys of the audit log. To verify this directory, take the verifier keys from elsewhere (\`GET /v1/audit/key\`, or a copy that you kept), and run:`,
    '',
    '```console',
    '$ npm run evidence -- --verify DIRECTORY --key audit.pub',
    '```',
    '',
    '## What does not hold',
    '',
    ...(faults.length === 0 ? ['Nothing.'] : faults.map((fault) => `- ${escapeText(fault)}`)),
    '',
    '## What is open',
    '',
    ...(open.length === 0 ? ['Nothing.'] : parts.flatMap(listOpen)),
    '',
    ...parts.flatMap(describePart),
  ].join('\n');
}

/** Lists what does not hold. That a part is missing is the first such thing about it. */
export function listFaults(parts: readonly Part[]): string[] {
  return parts.flatMap(({ file, missing, faults }) => [
    ...(missing === undefined ? [] : [`${file} is missing: ${missing}.`]),
    ...faults,
  ]);
}

function describePart({ file, title, summary, missing }: Part): string[] {
  if (missing !== undefined) return [`## Missing: ${title}`, '', `There is no ${file}: ${escapeText(missing)}.`, ''];
  return [`## ${title}`, '', `File: [${file}](${file})`, '', ...summary, ''];
}

function listOpen({ file, open, missing }: Part): string[] {
  const where = missing === undefined ? `[${file}](${file})` : file;
  return open.map((sentence) => `- ${escapeText(sentence)} (${where})`);
}

function escapeText(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll(/\s+/g, ' ');
}
