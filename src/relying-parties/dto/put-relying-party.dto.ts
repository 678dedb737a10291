import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  Min,
} from 'class-validator';
import { IsRpId, IsText, IsTimestamp, Optional } from '../../http/validators.js';
import { Nested } from '../../http/request-class.js';
import { IsOrigin } from '../origin.js';
import { PolicyDto } from './policy.dto.js';

/**
 * A caller can PUT what it got by GET: `rpId`, `createdAt`, `updatedAt` and `warnings` are accepted and not written. A
 * `version` must equal the stored one.
 */
export class PutRelyingPartyDto {
  @Optional()
  @IsRpId()
  rpId?: string;

  @IsText(1, 256)
  name: string;

  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(100)
  @ArrayUnique()
  @IsOrigin({ each: true })
  origins: string[];

  @Optional()
  @IsBoolean()
  enabled?: boolean;

  @Optional()
  @Nested(() => PolicyDto)
  policy?: PolicyDto;

  @Optional()
  @IsInt()
  @Min(1)
  version?: number;

  @Optional()
  @IsTimestamp()
  createdAt?: string;

  @Optional()
  @IsTimestamp()
  updatedAt?: string;

  @Optional()
  @IsArray()
  @ArrayMaxSize(200)
  @IsObject({ each: true })
  warnings?: object[];
}

export class PutRelyingPartyQuery {
  @Optional()
  @IsIn(['true', 'false'])
  dryRun?: 'true' | 'false';
}

export class RpIdParam {
  @IsRpId()
  rpId: string;
}
