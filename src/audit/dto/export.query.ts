import { Optional } from '../../contract/optional.js';
import { IsTimestamp } from '../../contract/is-timestamp.js';

export class ExportQuery {
  @Optional()
  @IsTimestamp()
  from?: string;

  @Optional()
  @IsTimestamp()
  to?: string;
}
