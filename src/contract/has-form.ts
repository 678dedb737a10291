import { buildMessage, Matches, type ValidationOptions } from 'class-validator';

/**
 * Text of a form. Callers read the words, never the pattern.
 *
 * @param words completes “must be …”
 */
export function HasForm(form: RegExp, words: string, options?: ValidationOptions): PropertyDecorator {
  return Matches(form, { ...options, message: buildMessage((each) => `${each}$property must be ${words}`, options) });
}
