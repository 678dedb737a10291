import { live } from 'lit-html/directives/live.js';
import { html, nothing, type TemplateResult } from '../parts/html.js';
import type { Editing } from './setting-field.js';

interface NumberField {
  readonly pointer: string;
  readonly label: string | TemplateResult;
  /** The name for a reader of the screen, if the label does not say enough. */
  readonly name?: string;
  readonly minimum: number;
  readonly maximum: number;
  readonly value: unknown;
  /** What an empty field means; without it there must be a number. */
  readonly empty?: string;
}

/** A field for a whole number. What is none stays out of the draft, and the field says why. */
export function renderNumber(field: NumberField, { change, remark, remarks }: Editing): TemplateResult {
  const { pointer, label, name, minimum, maximum, value, empty } = field;
  const wrong = remarks.get(pointer);
  const range = `from ${minimum.toLocaleString('en')} to ${maximum.toLocaleString('en')}`;
  const take = (event: Event): void => {
    const input = event.currentTarget as HTMLInputElement;
    const number = Number(input.value);
    const isEmpty = input.value === '' && !input.validity.badInput;
    if (isEmpty && empty !== undefined) change?.(pointer, null);
    else if (input.value !== '' && Number.isInteger(number) && number >= minimum && number <= maximum)
      change?.(pointer, number);
    else remark(pointer, { typed: input.value, text: `Give a whole number ${range}.` });
  };
  return html`<label>
    ${label}
    <input
      type="number"
      min=${minimum}
      max=${maximum}
      step="1"
      aria-label=${name ?? nothing}
      aria-invalid=${wrong ? 'true' : nothing}
      placeholder=${empty ?? nothing}
      .value=${live(wrong?.typed ?? (typeof value === 'number' ? String(value) : ''))}
      @change=${take}
    />
    <span class="faint">${range.replace('f', 'F')}.</span>
    ${wrong ? html`<span class="remark" role="alert">${wrong.text}</span>` : nothing}
  </label>`;
}
