import { readFileSync } from 'node:fs';
import { Document, isScalar, Scalar, visit } from 'yaml';
import type { Schemas } from '../../clients/typescript/src/client.ts';
import { parsePlainYaml, PlainYamlError } from '../../src/config/plain-yaml.js';
import { UsageError } from '../command-line.js';
import { makeJsonVisible } from './visible.js';

type Settings = Schemas['RelyingPartySettings'];

export interface PolicyFile {
  readonly rpId: string;
  readonly settings: Settings;
}

/**
 * Reads the settings of a relying party, as JSON or YAML; - is standard input. The service checks them.
 *
 * @param rp the relying party, if the file does not name it
 * @throws UsageError that names the file
 */
export function readPolicyFile(path: string, rp: string | undefined): PolicyFile {
  const value = parse(path, readText(path));
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`${path} does not hold settings, such as policy show prints.`);
  const settings = value as Settings;
  const named = typeof settings.rpId === 'string' ? settings.rpId : undefined;
  if (named !== undefined && rp !== undefined && named !== rp)
    throw new UsageError(`${path} is about ${named}, and --rp says ${rp}.`);
  const rpId = named ?? rp;
  if (rpId === undefined) throw new UsageError(`${path} has no rpId: give --rp.`);
  return { rpId, settings };
}

function readText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${(error as Error).message}.`);
  }
}

/** JSON is YAML, too. */
function parse(path: string, text: string): unknown {
  try {
    return parsePlainYaml(text);
  } catch (error) {
    if (error instanceof PlainYamlError)
      throw new UsageError(`${path} is neither JSON nor plain YAML: ${error.message}.`);
    throw error;
  }
}

/** Writes settings as a file that a person changes and `policy put` takes. */
export function formatPolicyFile({
  createdAt: _,
  updatedAt: __,
  warnings: ___,
  ...settings
}: Schemas['RelyingParty']): string {
  const document = new Document(settings);
  visit(document, {
    Scalar(_, node) {
      if (isScalar(node) && typeof node.value === 'string' && makeJsonVisible(node.value) !== node.value)
        node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return makeJsonVisible(document.toString({ lineWidth: 0 }).trimEnd());
}
