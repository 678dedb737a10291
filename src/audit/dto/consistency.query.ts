import { Matches } from 'class-validator';

/** Sizes of the log, in leaves. */
const SIZE = /^(0|[1-9]\d{0,14})$/;
const message = '$property must be a size of the log';

export class ConsistencyQuery {
  @Matches(SIZE, { message })
  from: string;

  @Matches(SIZE, { message })
  to: string;
}
