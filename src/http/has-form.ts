import { buildMessage, Matches, type ValidationOptions } from 'class-validator';

/**
 * Checks a text against a pattern. The message holds the words, not the pattern.
 *
 * @param words complete “must be …”
 */
export function HasForm(form: RegExp, words: string, options?: ValidationOptions): PropertyDecorator {
  return Matches(form, { ...options, message: buildMessage((each) => `${each}$property must be ${words}`, options) });
}
