import { readFileSync } from 'node:fs';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError } from 'class-validator';
import { Repository } from 'typeorm';
import { parse } from 'yaml';
import { CONFIG, type Config, ConfigError } from '../config/config.js';
import { DEVELOPMENT_RELYING_PARTY } from '../config/development.js';
import { PutRelyingPartyDto } from './dto/put-relying-party.dto.js';
import { RelyingPartiesService } from './relying-parties.service.js';
import { RelyingPartyEntity } from './relying-party.entity.js';

type Settings = PutRelyingPartyDto & { rpId: string };

/**
 * Creates at boot the relying parties of PASSKEY_RELYING_PARTIES_FILE (YAML or JSON: a list of what PUT takes, each with
 * its `rpId`) that do not exist yet. What exists is the operator's, and is left alone.
 */
@Injectable()
export class InitialRelyingParties implements OnApplicationBootstrap {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    @InjectRepository(RelyingPartyEntity) private readonly entities: Repository<RelyingPartyEntity>,
    private readonly parties: RelyingPartiesService,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    for (const settings of this.wanted()) {
      if (await this.entities.existsBy({ rpId: settings.rpId })) continue;
      await this.parties.put(null, settings.rpId, settings);
    }
  }

  private wanted(): Settings[] {
    const { relyingPartiesFile, production } = this.config;
    const listed = relyingPartiesFile === undefined ? [] : settingsIn(relyingPartiesFile);
    return production ? listed : [...listed, DEVELOPMENT_RELYING_PARTY];
  }
}

/** @throws ConfigError naming every mistake of the first entry that has one */
function settingsIn(file: string): Settings[] {
  const list = yamlIn(file);
  if (!Array.isArray(list)) throw new ConfigError([`${file} must hold a list of relying parties`]);
  return list.map((entry: unknown, index) => {
    const settings = plainToInstance(PutRelyingPartyDto, entry ?? {});
    const errors = validateSync(settings, { whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true });
    const mistakes = errors.flatMap(messagesOf);
    if (!settings.rpId) mistakes.push('rpId must be present');
    if (mistakes.length > 0) throw new ConfigError([`${file}, entry ${String(index + 1)}: ${mistakes.join('; ')}`]);
    return settings as Settings;
  });
}

function yamlIn(file: string): unknown {
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new ConfigError([`${file} is no YAML: ${String(error)}`]);
  }
}

function messagesOf(error: ValidationError): string[] {
  return [...Object.values(error.constraints ?? {}), ...(error.children ?? []).flatMap(messagesOf)];
}
