import { ArrayMaxSize, IsArray, IsBoolean, IsInt, IsObject, IsString, Max, MaxLength, Min } from 'class-validator';
import { Extensible } from '../../http/request-class.js';
import { Optional } from '../../http/validators.js';

/** The most SETs of one poll, and the most that one poll acknowledges: so many `jti` fit into a body. */
export const MOST_SETS = 1_000;

/** RFC 8936 §2.2. */
@Extensible()
export class PollDto {
  @Optional()
  @IsInt()
  @Min(0)
  @Max(2_147_483_647)
  maxEvents?: number;

  /** False, as by default: an answer without SETs waits for one. */
  @Optional()
  @IsBoolean()
  returnImmediately?: boolean;

  /** The `jti` of SETs that the receiver has. */
  @Optional()
  @IsArray()
  @ArrayMaxSize(MOST_SETS)
  @IsString({ each: true })
  @MaxLength(256, { each: true })
  ack?: string[];

  /** By `jti`: why the receiver refuses a SET (RFC 8936 §2.6). It is not delivered again. */
  @Optional()
  @IsObject()
  setErrs?: Readonly<Record<string, unknown>>;
}

/** RFC 8936 §2.3. */
export interface PollResponse {
  /** SETs by their `jti`, in the order of the changes. */
  readonly sets: Readonly<Record<string, string>>;
  readonly moreAvailable: boolean;
}
