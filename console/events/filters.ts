import { html, nothing, type TemplateResult } from '../parts/html.js';
import { AUDIT_EVENTS } from '../../src/audit/audit-entry.js';
import { toLocal, toUtc } from '../parts/time.js';
import { Problem } from '../shell/problem.js';
import { linkTo } from '../shell/router.js';

/** The parameters of GET /v1/audit/events that narrow the list. */
export const FILTERS = ['from', 'to', 'type', 'actor', 'userId', 'credentialId', 'outcome'] as const;
export type Filter = (typeof FILTERS)[number];

export function readFilters(query: URLSearchParams): Partial<Record<Filter, string>> {
  return Object.fromEntries(
    FILTERS.flatMap((name) => {
      const value = query.get(name);
      return value ? [[name, value]] : [];
    }),
  );
}

/** On a narrow screen the filters are folded. */
const WIDE = matchMedia('(min-width: 761px)');

const RANGES = [
  ['Last hour', 3_600_000],
  ['24 hours', 86_400_000],
  ['7 days', 7 * 86_400_000],
] as const;

/** The form of the filters. A change of them is a change of the address, so that a link or the way back has them. */
export function renderFilters(query: URLSearchParams, error: unknown): TemplateResult {
  const faults = new Map(
    error instanceof Problem ? error.body.invalid?.map(({ pointer, detail }) => [pointer.slice(1), detail]) : [],
  );
  const value = (name: Filter): string => query.get(name) ?? '';
  const text = (name: Filter, label: string, hint: string): TemplateResult =>
    html`<label>
      ${label}
      <input
        name=${name}
        .value=${value(name)}
        placeholder=${hint}
        autocomplete="off"
        spellcheck="false"
        aria-invalid=${faults.has(name) ? 'true' : nothing}
      />
      ${renderFault(faults.get(name))}
    </label>`;
  const time = (name: 'from' | 'to', label: string): TemplateResult =>
    html`<label>
      ${label}
      <input type="datetime-local" step="1" name=${name} .value=${toLocal(value(name))} />
      ${renderFault(faults.get(name))}
    </label>`;
  return html`<details class="filter-box" ?open=${WIDE.matches}>
    <summary>Filters</summary>
    <form class="filters" aria-label="Filters" @submit=${search}>
      ${time('from', 'From')} ${time('to', 'Before')}
      <label>
        Type
        <select name="type">
          <option value="">Every type</option>
          ${Object.keys(AUDIT_EVENTS)
            .toSorted()
            .map((type) => html`<option value=${type} .selected=${type === value('type')}>${type}</option>`)}
        </select>
      </label>
      <label>
        Outcome
        <select name="outcome">
          ${[
            ['', 'Every outcome'],
            ['success', 'Success'],
            ['failure', 'Failure'],
          ].map(([key, label]) => html`<option value=${key} .selected=${key === value('outcome')}>${label}</option>`)}
        </select>
      </label>
      ${text('actor', 'Actor', 'spiffe://…')} ${text('userId', 'User id', 'u-123')}
      ${text('credentialId', 'Credential', 'id or credential id')}
      <div class="actions">
        <button class="primary">Search</button>
        ${RANGES.map(
          ([label, milliseconds]) =>
            html`<button
              type="button"
              @click=${() => {
                setRange(query, milliseconds);
              }}
            >
              ${label}
            </button>`,
        )}
        <button type="button" @click=${clear}>Clear</button>
      </div>
    </form>
  </details>`;
}

function renderFault(fault: string | undefined): TemplateResult | typeof nothing {
  return fault === undefined ? nothing : html`<span class="fault">${fault}</span>`;
}

function search(event: SubmitEvent): void {
  event.preventDefault();
  const given = new FormData(event.currentTarget as HTMLFormElement);
  const query = Object.fromEntries(FILTERS.map((name) => [name, readField(given, name)]));
  query['from'] = toUtc(query['from'] ?? '');
  query['to'] = toUtc(query['to'] ?? '');
  go(query);
}

function clear(event: Event): void {
  // What was typed and not searched for is in no address.
  const { form } = event.currentTarget as HTMLButtonElement;
  for (const field of form?.querySelectorAll<HTMLInputElement | HTMLSelectElement>('input, select') ?? [])
    field.value = '';
  go({});
}

function readField(given: FormData, name: Filter): string {
  const value = given.get(name);
  return typeof value === 'string' ? value.trim() : '';
}

function setRange(query: URLSearchParams, milliseconds: number): void {
  go({ ...readFilters(query), from: new Date(Date.now() - milliseconds).toISOString(), to: '' });
}

function go(query: Readonly<Record<string, string | undefined>>): void {
  const address = linkTo(['events'], query);
  // The same filters again mean the newest events again.
  if (address === location.hash) dispatchEvent(new Event('hashchange'));
  else location.hash = address;
}
