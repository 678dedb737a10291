import { applyDecorators } from '@nestjs/common';
import { Transform } from 'class-transformer';
import { IsInt, Max, Min } from 'class-validator';

/** The form of a cursor, as a page gives it in `nextCursor`. */
export const CURSOR = /^[A-Za-z0-9_-]{1,512}$/;
export const CURSOR_WORDS = 'the nextCursor of an earlier page';

/** How many entries a page may have, 1 to 200: decimal digits and nothing that Number() would take besides. */
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
