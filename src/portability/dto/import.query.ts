import { Transform } from 'class-transformer';
import { IsBoolean, IsInt, Max, Min } from 'class-validator';
import { IsRpId, Optional } from '../../http/validators.js';

/** The members of a query are texts. */
const toBoolean = ({ value }: { value: unknown }): unknown =>
  value === 'true' ? true : value === 'false' ? false : value;
const toInteger = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;

export class ImportQuery {
  @IsRpId()
  rpId: string;

  /** True: nothing is stored, and the verdicts are what they would be. */
  @Optional()
  @Transform(toBoolean)
  @IsBoolean()
  dryRun = false;

  /** The number of the first line, where an upload goes on. */
  @Optional()
  @Transform(toInteger)
  @IsInt()
  @Min(1)
  @Max(2 ** 31 - 1)
  firstLine = 1;
}
