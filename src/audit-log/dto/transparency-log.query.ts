import { ValidateBy } from 'class-validator';
import { HasForm, isTimestamp, Optional, TIMESTAMP_WORDS } from '../../http/validators.js';

/** A size of the log, in leaves. */
const SIZE = /^(0|[1-9]\d{0,14})$/;
const WORDS = 'a size of the log, in digits';

export class ConsistencyQuery {
  @HasForm(SIZE, WORDS)
  from: string;

  @HasForm(SIZE, WORDS)
  to: string;
}

const LEAF_INDEX = /^(0|[1-9]\d{0,14})$/;

/** True if a bound of an export is a leaf index and not a time. */
export const isLeafIndex = (bound: unknown): bound is string => typeof bound === 'string' && LEAF_INDEX.test(bound);

/** Accepts an RFC 3339 time or a leaf index. */
function IsBound(): PropertyDecorator {
  return ValidateBy({
    name: 'isBound',
    validator: {
      validate: (bound) => isTimestamp(bound) || isLeafIndex(bound),
      defaultMessage: () => `$property must be ${TIMESTAMP_WORDS}, or a leaf index`,
    },
  });
}

export class ExportQuery {
  @Optional()
  @IsBound()
  from?: string;

  @Optional()
  @IsBound()
  to?: string;
}
