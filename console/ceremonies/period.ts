import { html, type TemplateResult } from '../parts/html.js';
import { pickPeriod } from '../explain/ceremony-counts.js';
import { readField } from '../parts/fields.js';
import { call, type Schemas } from '../shell/api.js';
import type { Caller } from '../shell/caller.js';
import { Problem } from '../shell/problem.js';
import { linkTo } from '../shell/router.js';
import type { Page } from '../shell/view.js';

/** What a view of statistics is about: one relying party, and some days. */
export interface Period {
  readonly rpId: string;
  readonly days: number;
}

export interface Counted {
  /** Those that the caller can name; undefined if the policy shows none. */
  readonly parties: readonly string[] | undefined;
  /** Absent if no relying party is chosen, or its counts cannot be read. */
  readonly statistics?: Schemas['Statistics'];
  /** Why they cannot be read. */
  readonly error?: Problem;
}

const DAYS = { 1: 'Last 24 hours', 7: 'Last 7 days', 31: 'Last 31 days' } as const;

/** Lists the RP IDs that the caller may see. @returns undefined: only the caller knows them. @throws Problem */
export async function listParties(caller: Caller, signal: AbortSignal): Promise<string[] | undefined> {
  if (caller.permissions.has('relying-parties:read')) {
    const { data } = await call('get', '/v1/relying-parties', {}, { signal });
    return data.map(({ rpId }) => rpId);
  }
  return caller.relyingParties ? [...caller.relyingParties] : undefined;
}

export function readPeriod(query: URLSearchParams): Partial<Period> & Pick<Period, 'days'> {
  const rpId = query.get('rpId');
  const days = Number(query.get('days'));
  return { days: days in DAYS ? days : 1, ...(rpId && { rpId }) };
}

/** The relying party that was looked at last, so that the next view is about the same one. */
let lastParty: string | undefined;

/** Reads the counts of the relying party in the address, or of the first one. @throws Problem */
export async function readCounts({ caller, query }: Page, signal: AbortSignal): Promise<Counted> {
  const parties = await listParties(caller, signal);
  const kept = lastParty !== undefined && parties?.includes(lastParty) ? lastParty : parties?.[0];
  const { rpId = kept, days } = readPeriod(query);
  if (rpId === undefined) return { parties };
  const sent = { query: { rpId, ...pickPeriod(days, new Date()) } };
  try {
    const statistics = await call('get', '/v1/statistics', sent, { signal });
    lastParty = rpId;
    return { parties, statistics };
  } catch (error) {
    // The form stays, so that another relying party can be chosen.
    if (error instanceof Problem) return { parties, error };
    throw error;
  }
}

interface PeriodForm {
  /** The address of the view, such as `ceremonies`. */
  readonly view: string;
  readonly parties: readonly string[] | undefined;
  readonly chosen: string | undefined;
  /** Further choices, whose names go into the address. */
  readonly further?: TemplateResult;
  readonly hasDays?: boolean;
}

/** The form above a view of statistics. A change of it is a change of the address. */
export function renderPeriod(
  { query }: Page,
  { view, parties, chosen, further, hasDays = true }: PeriodForm,
): TemplateResult {
  const { days } = readPeriod(query);
  const go = (form: HTMLFormElement): void => {
    const names = new Set(new FormData(form).keys());
    location.hash = linkTo([view], Object.fromEntries([...names].map((name) => [name, readField(form, name)])));
  };
  return html`<form
    class="filters"
    aria-label="What is counted"
    @submit=${(event: SubmitEvent) => {
      event.preventDefault();
      go(event.currentTarget as HTMLFormElement);
    }}
    @change=${(event: Event) => {
      go(event.currentTarget as HTMLFormElement);
    }}
  >
    ${renderPartyField(parties, chosen)}
    ${
      hasDays
        ? html`<label>
            Period
            <select name="days">
              ${Object.entries(DAYS).map(
                ([key, label]) => html`<option value=${key} .selected=${Number(key) === days}>${label}</option>`,
              )}
            </select>
          </label>`
        : ''
    }
    ${further ?? ''}
    <div class="actions"><button class="primary">Show</button></div>
  </form>`;
}

/** A choice of relying parties, or a field for the RP ID where the policy shows none. */
export function renderPartyField(parties: readonly string[] | undefined, chosen: string | undefined): TemplateResult {
  if (!parties)
    return html`<label>
      Relying party
      <input
        name="rpId"
        .value=${chosen ?? ''}
        placeholder="login.example.com"
        autocomplete="off"
        spellcheck="false"
        required
      />
    </label>`;
  const kept = chosen ?? lastParty;
  const listed = chosen === undefined || parties.includes(chosen) ? parties : [chosen, ...parties];
  return html`<label>
    Relying party
    <select name="rpId">
      ${listed.map((rpId) => html`<option value=${rpId} .selected=${rpId === kept}>${rpId}</option>`)}
    </select>
  </label>`;
}
