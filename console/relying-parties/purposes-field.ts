import { html, nothing, type TemplateResult } from '../parts/html.js';
import { PURPOSE_SETTINGS } from '../explain/party-settings.js';
import type { Setting } from '../explain/setting.js';
import { readField } from '../parts/fields.js';
import { readMember } from './draft.js';
import { renderNumber } from './number-field.js';
import type { Editing } from './setting-field.js';

/** What the contract allows in the name of a purpose. */
const NAME = '[A-Za-z0-9._:\\/\\-]+';
const PURPOSES = '/policy/purposes';

/** Shows what each purpose demands instead of the policy. */
export function renderPurposes(editing: Editing): TemplateResult {
  const { purposes } = editing.draft.policy;
  const add = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const name = readField(form, 'name');
    if (!Object.hasOwn(purposes, name)) editing.change?.(pointTo(name), {});
    form.reset();
  };
  return html`
    ${Object.keys(purposes).map((name) => renderPurpose(name, editing))}
    <form class="actions" @submit=${add}>
      <label>
        Name of another purpose
        <input name="name" required maxlength="64" pattern=${NAME} placeholder="step-up" autocomplete="off" />
      </label>
      <button>Add</button>
    </form>
  `;
}

function pointTo(name: string): string {
  return `${PURPOSES}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

function renderPurpose(name: string, editing: Editing): TemplateResult {
  const { change } = editing;
  const pointer = pointTo(name);
  return html`<fieldset class="purpose">
    <legend><code>${name}</code></legend>
    ${PURPOSE_SETTINGS.map((setting) => renderDemand(name, setting, `${pointer}${setting.pointer}`, editing))}
    <button type="button" class="danger" @click=${() => change?.(pointer, null)}>Remove ${name}</button>
  </fieldset>`;
}

function renderDemand(
  name: string,
  { title, does, breaks, form }: Setting,
  pointer: string,
  editing: Editing,
): TemplateResult {
  const value = readMember(editing.draft, pointer);
  const take = (event: Event): void => {
    const { value: text } = event.currentTarget as HTMLSelectElement;
    editing.change?.(pointer, text === '' ? null : text);
  };
  const words = html`<span class="faint">${does} ${breaks ?? ''}</span>`;
  if (form.kind === 'number') {
    const range = { minimum: form.minimum, maximum: form.maximum, empty: 'as the policy' };
    return html`<div>
      ${renderNumber({ pointer, label: title, name: `${title} for ${name}`, value, ...range }, editing)} ${words}
    </div>`;
  }
  return html`<label>
    ${title}
    <select aria-label=${`${title} for ${name}`} @change=${take}>
      <option value="" .selected=${value === undefined}>as the policy</option>
      ${
        form.kind === 'choice'
          ? form.choices.map(
              (choice) =>
                html`<option value=${String(choice.value)} .selected=${choice.value === value}>
                  ${choice.label}
                </option>`,
            )
          : nothing
      }
    </select>
    ${words}
  </label>`;
}
