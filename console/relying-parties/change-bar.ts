import { findSetting } from '../explain/party-settings.js';
import { html, nothing, type TemplateResult } from '../parts/html.js';
import { Problem } from '../shell/problem.js';
import { nameBox } from './setting-field.js';

/** Stays in sight while the reader changes settings, so that the change is not forgotten. */
export function renderBar(count: number, drop: () => void): TemplateResult | typeof nothing {
  if (count === 0) return nothing;
  return html`<div class="change-bar" role="region" aria-label="Not stored yet">
    <strong>Your change: ${count === 1 ? 'one setting' : `${String(count)} settings`}, not stored</strong>
    <button
      @click=${() => {
        document.querySelector('#change')?.scrollIntoView({ block: 'start' });
        document.querySelector<HTMLElement>('#change button')?.focus({ preventScroll: true });
      }}
    >
      See your change
    </button>
    <button @click=${drop}>Drop it</button>
  </div>`;
}

/** Leads to the settings that a problem names. */
export function renderPlaces(error: unknown): TemplateResult | typeof nothing {
  const invalid = error instanceof Problem ? (error.body.invalid ?? []) : [];
  const pointers = [...new Set(invalid.flatMap(({ pointer }) => findOwner(pointer) ?? []))];
  if (pointers.length === 0) return nothing;
  return html`<p class="actions">
    Correct it below:
    ${pointers.map(
      (pointer) =>
        html`<button
          @click=${() => {
            openBox(pointer);
          }}
        >
          ${findSetting(pointer)!.title}
        </button>`,
    )}
  </p>`;
}

/** The setting that a pointer leads into: `/origins` for `/origins/1`. */
function findOwner(pointer: string): string | undefined {
  for (let path = pointer; path !== ''; path = path.slice(0, path.lastIndexOf('/')))
    if (findSetting(path) && document.getElementById(nameBox(path))) return path;
  return undefined;
}

function openBox(pointer: string): void {
  const box = document.getElementById(nameBox(pointer)) as HTMLDetailsElement | null;
  if (!box) return;
  box.open = true;
  box.scrollIntoView({ block: 'start' });
  box.querySelector<HTMLElement>('input, textarea, select')?.focus({ preventScroll: true });
}
