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
import { IsRpId, IsText, IsTimestamp, Nullable, Optional } from '../../http/validators.js';
import { Nested } from '../../http/request-class.js';
import { IsOrigin } from '../origin.js';
import type { Successor } from '../successor.js';
import { PolicyDto } from './policy.dto.js';

class SuccessorDto {
  @IsRpId()
  rpId: string;

  @Nullable()
  @IsTimestamp()
  endsAt?: string | null;

  @Optional()
  @IsIn(['accept', 'refuse'])
  registrations?: Successor['registrations'];
}

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

  @Nullable()
  @Nested(() => SuccessorDto)
  successor?: SuccessorDto | null;

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
