import { HasForm } from '../../http/validators.js';

/** A size of the log, in leaves. */
const SIZE = /^(0|[1-9]\d{0,14})$/;
const WORDS = 'a size of the log, in digits';

export class ConsistencyQuery {
  @HasForm(SIZE, WORDS)
  from: string;

  @HasForm(SIZE, WORDS)
  to: string;
}
