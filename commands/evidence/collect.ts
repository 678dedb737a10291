import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { DataSource } from 'typeorm';
import { type AccessPolicy, parseAccessPolicy } from '../../src/access/access-policy.js';
import { type LogKeys, readLogKeys } from '../../src/audit-log/log-keys.js';
import type { Config } from '../../src/config/config.js';
import { takeInventory } from '../inventory/inventory.js';
import { makeAccessMatrix } from './access-matrix.js';
import { describeArchitecture } from './architecture.js';
import { describeLog, listTrails, verifyLog } from './audit-log.js';
import { describeClocks } from './clocks.js';
import { describeCompliance } from './compliance.js';
import { describeCryptography } from './crypto-bom.js';
import { describeKeyAges } from './key-ages.js';
import { describeDatabaseRoles } from './database-roles.js';
import { formatOverview, INDEX, makeIndex, OVERVIEW } from './overview.js';
import { isMade, type Part, type Sources } from './part.js';
import { describeRestores } from './restores.js';
import { describeReviews } from './reviews.js';
import { type KeysOverTime, signDirectory } from './signed-index.js';
import { describeSoftware } from './software-bom.js';
import { TestResults } from './test-results.js';

/** What the arguments name besides the settings. */
export interface Given {
  /** The keys that signed the log over time; undefined: those of the key file. */
  readonly keys: KeysOverTime | undefined;
  /** Files of checkpoints that were kept outside. */
  readonly checkpoints: readonly string[];
  /** The time from which on the log is read. */
  readonly since: Date | undefined;
  /** Reports of jest. */
  readonly results: readonly string[];
  /** The directory of the reports of reviews. */
  readonly reviews: string | undefined;
  /** Files with the output of rehearsals. */
  readonly drills: readonly string[];
  /** The directory of CALM's meta-schemas. */
  readonly calmSchemas: string | undefined;
}

export interface Collected {
  readonly sources: Sources;
  readonly logKeys: LogKeys;
  readonly parts: readonly Part[];
}

/**
 * Collects every part. What is wrong with the system is in the parts; an error says that this program could not do its work.
 *
 * @param root the directory of the project
 * @param dataSource sessions that only read
 * @param onStep told of each step
 */
export async function collectEvidence(
  config: Config,
  dataSource: DataSource,
  given: Given,
  root: string,
  now: Date,
  onStep: (step: string) => void,
): Promise<Collected> {
  // Mistakes of the arguments come before work that takes long.
  const results = TestResults.read(given.results);
  const { checkpoints, drills, reviews } = given;
  for (const path of [...checkpoints, ...drills, ...(reviews === undefined ? [] : [reviews])]) statSync(path);
  const logKeys = readLogKeys(config);
  onStep('listener, keys and certificates');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const sources: Sources = {
    config,
    inventory: await takeInventory(config, now),
    policy: readPolicy(config),
    version,
    now,
  };
  const architecture = describeArchitecture(sources, given.calmSchemas);
  onStep('installed packages');
  const software = await describeSoftware(sources, root);
  onStep('audit log');
  const trails = listTrails(config, given.checkpoints);
  const log = await verifyLog(
    dataSource,
    given.keys ?? toKeysOverTime(logKeys),
    trails,
    given.since,
    (lines, leaves) => {
      onStep(`audit log: ${lines.toLocaleString('en')} of ${leaves.toLocaleString('en')} leaves`);
    },
  );
  onStep('ages and clocks');
  return {
    sources,
    logKeys,
    parts: [
      architecture,
      software,
      describeCryptography(sources),
      makeAccessMatrix(sources, log),
      await describeDatabaseRoles(dataSource),
      describeCompliance(root, results),
      await describeKeyAges(sources, log, logKeys, dataSource),
      await describeClocks(dataSource),
      describeLog(log, config, now),
      describeReviews(log, given.reviews, now),
      describeRestores(log, given.drills),
    ],
  };
}

/** The keys that verify the log: the present ones, and the ones before them that the key file has. */
function toKeysOverTime({ signers, former }: LogKeys): KeysOverTime {
  const keys = signers.filter(({ isFormer }) => !isFormer).map(({ key }) => key);
  return { keys, former: former.length > 0 ? [former] : [] };
}

function readPolicy({ accessPolicyFile }: Config): AccessPolicy | undefined {
  try {
    return parseAccessPolicy(readFileSync(accessPolicyFile, 'utf8'));
  } catch {
    // The access matrix says so.
    return undefined;
  }
}

/** Writes and signs the files beside their place, and then gives them their name, so that there is never a part of them. */
export async function writeEvidence({ sources, logKeys, parts }: Collected, directory: string): Promise<void> {
  const target = resolve(directory);
  mkdirSync(dirname(target), { recursive: true });
  const unfinished = mkdtempSync(join(dirname(target), `.${basename(target)}-`));
  try {
    const write = (file: string, text: string): void => {
      writeFileSync(join(unfinished, file), text);
    };
    for (const { file, content } of parts.filter(isMade)) write(file, `${JSON.stringify(content, null, 2)}\n`);
    write(INDEX, `${JSON.stringify(makeIndex(sources, logKeys.origin, parts), null, 2)}\n`);
    write(OVERVIEW, formatOverview(sources, logKeys.origin, parts));
    await signDirectory(unfinished, logKeys, sources.now);
    renameSync(unfinished, target);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
}
