import { NOTE, SUMS } from './signed-index.js';
import type { Part, Sources } from './part.js';

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
    parts: parts.map(({ file, title, open, faults }) => ({ file, title, open, faults })),
  };
}

/** The index for people: what is wrong, what is open, and the essence of each file. */
export function formatOverview(sources: Sources, origin: string, parts: readonly Part[]): string {
  const { config, version, now } = sources;
  const [faults, open] = [parts.flatMap((part) => part.faults), parts.flatMap((part) => part.open)];
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
    ...parts.flatMap(({ file, title, summary }) => [`## ${title}`, '', `File: [${file}](${file})`, '', ...summary, '']),
  ].join('\n');
}

function listOpen({ file, open }: Part): string[] {
  return open.map((sentence) => `- ${escapeText(sentence)} ([${file}](${file}))`);
}

function escapeText(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll(/\s+/g, ' ');
}
