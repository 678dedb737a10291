import { IsRpId, IsTimestamp, Optional } from '../../http/validators.js';

export class StatisticsQuery {
  @IsRpId()
  rpId: string;

  /** A whole hour. By default a day before `to`. */
  @Optional()
  @IsTimestamp()
  from?: string;

  /** A whole hour, which is not part of the range. By default the end of the present one. */
  @Optional()
  @IsTimestamp()
  to?: string;
}
