import { readFileSync } from 'node:fs';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { validateSync } from 'class-validator';
import { CONFIG, type Config, ConfigError } from '../config/config.js';
import { DEVELOPMENT_RELYING_PARTY } from '../config/development.js';
import { describeInvalidMembers } from '../http/invalid-members.js';
import { parsePlainYaml, PlainYamlError } from '../config/plain-yaml.js';
import { toInstance } from '../http/request-class.js';
import { Problem } from '../http/problem.js';
import { PutRelyingPartyDto } from './dto/put-relying-party.dto.js';
import { RelyingPartiesService } from './relying-parties.service.js';
import { completeSuccessor, findFlaw, type Succession } from './successor.js';

/** The version of a relying party that does not exist. When replicas start together, it lets one of them create it. */
const NOT_YET = 0;

type Settings = PutRelyingPartyDto & { rpId: string };

/**
 * Creates the relying parties of PASSKEY_RELYING_PARTIES_FILE at boot, unless they exist. The file is YAML or JSON: a
 * list of PUT bodies, each with its `rpId`. The operator owns a relying party that exists, so boot does not change it.
 */
@Injectable()
export class InitialRelyingParties implements OnApplicationBootstrap {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly parties: RelyingPartiesService,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    // A successor before those that it succeeds, so that nobody is warned that it is missing.
    const wanted = this.listWanted().toSorted((a, b) => Number(Boolean(a.successor)) - Number(Boolean(b.successor)));
    for (const settings of wanted) {
      await this.parties.put(null, settings.rpId, Object.assign(settings, { version: NOT_YET })).catch(ignoreConflict);
    }
  }

  private listWanted(): Settings[] {
    const { relyingPartiesFile, production } = this.config;
    const listed = relyingPartiesFile === undefined ? [] : readSettings(relyingPartiesFile);
    return production ? listed : [...listed, DEVELOPMENT_RELYING_PARTY];
  }
}

/** @throws ConfigError if the file is at odds with a relying party that exists */
function ignoreConflict(error: unknown): void {
  if (error instanceof Problem && error.slug === 'request-malformed') {
    const mistakes = error.members.invalid ?? [];
    throw new ConfigError(
      mistakes.map(({ pointer, detail }) => `a relying party of PASSKEY_RELYING_PARTIES_FILE: ${pointer} ${detail}`),
    );
  }
  if (!(error instanceof Problem && error.slug === 'relying-party-conflict')) throw error;
}

/**
 * Reads the settings in the file. Origins and policies decide trust, so one bad entry refuses the whole file. The error
 * names every mistake of every entry.
 *
 * @throws ConfigError
 */
function readSettings(file: string): Settings[] {
  const list = readPlainYaml(file);
  if (!Array.isArray(list)) throw new ConfigError([`${file} must hold a list of relying parties`]);
  const parties = list.map((entry: unknown) => toInstance(PutRelyingPartyDto, entry ?? {}));
  const mistakes = parties.flatMap((settings, index) =>
    findSettingsMistakes(settings).map((mistake) => `${file}, entry ${String(index + 1)}: ${mistake}`),
  );
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  const flaws = listSuccessions(parties as Settings[]).flatMap((party, index, all) => {
    const flaw = findFlaw(party, all);
    return flaw === undefined ? [] : [`${file}, entry ${String(index + 1)}: successor.rpId ${flaw} (/successor/rpId)`];
  });
  if (flaws.length > 0) throw new ConfigError(flaws);
  return parties as Settings[];
}

function listSuccessions(parties: readonly Settings[]): Succession[] {
  return parties.map(({ rpId, successor }) => ({ rpId, successor: completeSuccessor(successor) }));
}

function findSettingsMistakes(settings: PutRelyingPartyDto): string[] {
  const options = { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true };
  const mistakes = describeInvalidMembers(validateSync(settings, options)).map(
    ({ pointer, detail }) => `${detail} (${pointer})`,
  );
  return settings.rpId ? mistakes : [...mistakes, 'rpId must be present'];
}

function readPlainYaml(file: string): unknown {
  try {
    return parsePlainYaml(readFileSync(file, 'utf8'));
  } catch (error) {
    const mistakes = error instanceof PlainYamlError ? error.mistakes : [String(error)];
    throw new ConfigError(mistakes.map((mistake) => `${file} is not plain YAML: ${mistake}`));
  }
}
