import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';

/** The pattern of a cursor in `nextCursor`. */
export const CURSOR = /^[A-Za-z0-9_-]{1,512}$/;
export const CURSOR_WORDS = 'the nextCursor of an earlier page';

/**
 * The most entries of a page, 1 to 200. It accepts decimal digits only: Number() would also accept ` 7`, `1e2` and
 * `0x10`.
 */
export function PageLimit(): PropertyDecorator {
  return applyDecorators(
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value,
    ),
    IsInt(),
    Min(1),
    Max(200),
  );
}
