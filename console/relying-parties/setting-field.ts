import { html, nothing, type TemplateResult } from '../parts/html.js';
import { findSetting } from '../explain/party-settings.js';
import type { CompleteSettings } from '../explain/setting-differences.js';
import { APPLIES, type Choice, type Setting } from '../explain/setting.js';
import { toLocal, toUtc } from '../parts/time.js';
import { formatValue, readMember } from './draft.js';
import { renderNumber } from './number-field.js';
import { renderPurposes } from './purposes-field.js';

export interface Editing {
  /** What is stored. */
  readonly base: CompleteSettings;
  readonly draft: CompleteSettings;
  /** Absent if the caller may only look. */
  readonly change: ((pointer: string, value: unknown) => void) | undefined;
  /** By pointer, what was typed and is no value, so that it is not in the draft. */
  readonly remarks: ReadonlyMap<string, Remark>;
  readonly remark: (pointer: string, remark: Remark) => void;
}

/** What is wrong with what somebody has typed. */
export interface Remark {
  readonly typed: string;
  readonly text: string;
}

/** The id of a setting's box on the page. */
export function nameBox(pointer: string): string {
  return `setting-${pointer.slice(1).replaceAll('/', '-')}`;
}

/** Shows a setting: its value, and inside what each choice does and breaks. */
export function renderSetting(pointer: string, editing: Editing): TemplateResult {
  const setting = findSetting(pointer)!;
  const [before, value] = [readMember(editing.base, pointer), readMember(editing.draft, pointer)];
  const isChanged = JSON.stringify(before) !== JSON.stringify(value);
  const { title, does, breaks, appliesTo, standard } = setting;
  return html`<details class="card setting" id=${nameBox(pointer)}>
    <summary>
      <span class="title">${title}</span>
      <span class="value">${formatSetting(setting, value)}</span>
      ${isChanged ? html`<span class="badge warn">changed</span>` : nothing}
    </summary>
    <p><strong>${does}</strong></p>
    ${breaks === undefined ? nothing : html`<p class="breaks">${breaks}</p>`}
    ${editing.change || setting.form.kind === 'choice' ? renderForm(setting, value, editing) : nothing}
    <p class="faint">
      ${APPLIES[appliesTo]} ${standard === null ? '' : html`The default is ${formatSetting(setting, standard)}.`}
      ${isChanged ? html`Stored is ${formatSetting(setting, before)}.` : nothing}
    </p>
  </details>`;
}

/** @param setting undefined for one that the form does not know */
export function formatSetting(setting: Setting | undefined, value: unknown): string {
  if (!setting) return formatValue(value);
  const { form } = setting;
  if (form.kind === 'number' && typeof value === 'number') return `${value.toLocaleString('en')} ${form.unit}`;
  if (form.kind !== 'choices' || !Array.isArray(value)) return formatValue(value);
  return value.map((each) => form.choices.find((choice) => choice.value === each)?.label ?? String(each)).join(', ');
}

function renderForm({ pointer, title, form, standard }: Setting, value: unknown, editing: Editing): TemplateResult {
  const change = (next: unknown): void => editing.change?.(pointer, next);
  switch (form.kind) {
    case 'choice':
      return renderChoice({ name: pointer, title, choices: form.choices, value, standard }, editing.change && change);
    case 'choices':
      return renderChoices({ title, choices: form.choices, value, standard }, form.ordered, change);
    case 'number':
      return renderNumber(
        {
          pointer,
          label: title.toLowerCase().includes(form.unit) ? title : `${title}, in ${form.unit}`,
          minimum: form.minimum,
          maximum: form.maximum,
          value,
        },
        editing,
      );
    case 'lines':
      return html`<label>
        ${title}, one a line
        <textarea
          rows="4"
          spellcheck="false"
          .value=${Array.isArray(value) ? value.join('\n') : ''}
          @change=${onInput((text) => {
            const lines = text.split('\n').map((line) => line.trim());
            const given = lines.filter((line) => line !== '');
            change(given.length === 0 && form.optional ? null : given);
          })}
        ></textarea>
        ${form.optional ? html`<span class="faint">Empty: the list is absent.</span>` : nothing}
      </label>`;
    case 'text':
    case 'domain':
      return html`<label>
        ${title}
        <input
          maxlength=${form.kind === 'text' ? form.maximum : 253}
          spellcheck="false"
          autocomplete="off"
          .value=${typeof value === 'string' ? value : ''}
          @change=${onInput((text) => {
            change(text.trim());
          })}
        />
      </label>`;
    case 'time':
      return html`<label>
        ${title}, in your time zone
        <input
          type="datetime-local"
          step="1"
          .value=${typeof value === 'string' ? toLocal(value) : ''}
          @change=${onInput((text) => {
            change(toUtc(text) || null);
          })}
        />
      </label>`;
    case 'purposes':
      return renderPurposes(editing);
  }
}

const onInput =
  (take: (text: string) => void) =>
  (event: Event): void => {
    take((event.currentTarget as HTMLInputElement).value);
  };

interface Chosen {
  readonly title: string;
  readonly choices: readonly Choice[];
  readonly value: unknown;
  readonly standard: unknown;
}

/** @param change absent if the caller may only look */
export function renderChoice(
  { name, title, choices, value, standard }: Chosen & { readonly name: string },
  change: ((value: unknown) => void) | undefined,
): TemplateResult {
  if (!change) return renderReadable(choices, value, standard);
  return html`<fieldset class="choices">
    <legend class="hidden">${title}</legend>
    ${choices.map(
      (choice) =>
        html`<label class="choice">
          <input
            type="radio"
            name=${name}
            .checked=${choice.value === value}
            @change=${() => {
              change(choice.value);
            }}
          />
          <span>${renderWords(choice, choice.value === standard)}</span>
        </label>`,
    )}
  </fieldset>`;
}

/** The choices for somebody who may not change them. */
function renderReadable(choices: readonly Choice[], value: unknown, standard: unknown): TemplateResult {
  return html`<ul>
    ${choices.map(
      (choice) =>
        html`<li>
          ${choice.value === value ? html`<span class="badge good">now</span>` : nothing}
          ${renderWords(choice, choice.value === standard)}
        </li>`,
    )}
  </ul>`;
}

function renderWords({ label, does, breaks }: Choice, isStandard: boolean): TemplateResult {
  return html`<strong>${label}</strong>${isStandard ? html` <span class="faint">(default)</span>` : nothing} – ${does}
    ${breaks === undefined ? nothing : html`<span class="breaks">${breaks}</span>`}`;
}

function renderChoices(
  { title, choices, value, standard }: Chosen,
  isOrdered: boolean,
  change: (value: unknown) => void,
): TemplateResult {
  const chosen = Array.isArray(value) ? (value as unknown[]) : [];
  const standards = Array.isArray(standard) ? (standard as unknown[]) : [];
  // The chosen ones in their order, then the others.
  const place = ({ value: each }: Choice): number => (chosen.includes(each) ? chosen.indexOf(each) : chosen.length);
  const shown = isOrdered ? choices.toSorted((one, other) => place(one) - place(other)) : choices;
  return html`<fieldset class="choices">
    <legend class="hidden">${title}</legend>
    ${shown.map((choice) => {
      const at = chosen.indexOf(choice.value);
      return html`<div class="choice">
        <label class="choice">
          <input
            type="checkbox"
            .checked=${at >= 0}
            @change=${() => {
              change(at >= 0 ? chosen.filter((each) => each !== choice.value) : [...chosen, choice.value]);
            }}
          />
          <span>${renderWords(choice, standards.includes(choice.value))}</span>
        </label>
        ${
          isOrdered && at > 0
            ? html`<button
                type="button"
                aria-label=${`Prefer ${choice.label}`}
                @click=${() => {
                  change([choice.value, ...chosen.filter((each) => each !== choice.value)]);
                }}
              >
                Prefer
              </button>`
            : nothing
        }
      </div>`;
    })}
  </fieldset>`;
}
