import { html, nothing, type TemplateResult } from '../parts/html.js';
import { renderEmpty } from '../parts/loading.js';
import { renderTime } from '../parts/time.js';
import { VirtualTable } from '../parts/virtual-table.js';
import { call } from '../shell/api.js';
import { renderProblem } from '../shell/problem.js';
import { linkTo } from '../shell/router.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { type Filter, readFilters, renderFilters } from './filters.js';
import { type LoggedEvent, readLoggedEvent } from './logged-event.js';
import { describeEvent } from './words.js';

export const EVENTS: View = {
  path: 'events',
  title: 'Events',
  group: 'Audit',
  needs: ['audit:read'],
  open: (page) => new Explorer(page),
};

/** As many as one answer may have. */
const PAGE_ROWS = 200;
/** How many more the button reads. */
const MORE_ROWS = 10_000;

/** What the table keeps of an event. The whole event is read again when somebody opens it. */
type Row = Pick<LoggedEvent, 'id' | 'time' | 'type' | 'outcome' | 'rpId'> & { readonly words: string };

/** The events of the log, the newest first, by the filters of the address. */
class Explorer implements OpenView {
  readonly #page: Page;
  readonly #filters: Partial<Record<Filter, string>>;
  readonly #table: VirtualTable<Row>;
  readonly #rows: Row[] = [];
  #cursor: string | null | undefined;
  #error: unknown;
  #isReading = false;
  /** Reads on by itself until there are so many. */
  #wanted = PAGE_ROWS;

  constructor(page: Page) {
    this.#page = page;
    this.#filters = readFilters(page.query);
    this.#table = new VirtualTable<Row>({
      label: 'Events',
      columns: COLUMNS,
      key: ({ id }) => id,
      update: page.update,
      onNearEnd: () => {
        if (this.#error === undefined) void this.#readOn();
      },
    });
  }

  render(): TemplateResult {
    return html`
      <h1 tabindex="-1">Events</h1>
      ${renderFilters(this.#page.query, this.#error)}
      ${this.#error === undefined ? nothing : renderProblem(this.#error, () => void this.#readOn())}
      ${this.#cursor === undefined && this.#error !== undefined ? nothing : this.#renderTable()}
    `;
  }

  #renderTable(): TemplateResult {
    if (this.#cursor === null && this.#rows.length === 0)
      return renderEmpty('No event fits.', 'Widen the times, or clear a filter. An archived event is in the archive.');
    const isWhole = this.#cursor === null;
    const count = this.#rows.length.toLocaleString('en');
    return html`${this.#table.render(this.#rows, isWhole)}
      <p class="under" role="status">
        ${isWhole ? `${count} events, all that fit.` : `The newest ${count} events. The others follow as you scroll.`}
        ${
          isWhole
            ? nothing
            : html`<button ?disabled=${this.#isReading} @click=${this.#more}>
                Read ${MORE_ROWS.toLocaleString('en')} more
              </button>`
        }
      </p>`;
  }

  readonly #more = (): void => {
    this.#wanted = this.#rows.length + MORE_ROWS;
    void this.#readOn();
  };

  /** Reads the next page, and those after it that somebody wants. */
  async #readOn(): Promise<void> {
    if (this.#isReading || this.#cursor === null) return;
    [this.#isReading, this.#error] = [true, undefined];
    try {
      do await this.#readPage();
      while (this.#cursor && this.#rows.length < this.#wanted);
    } catch (error) {
      if (!this.#page.signal.aborted) this.#error = error;
    }
    this.#isReading = false;
    if (!this.#page.signal.aborted) this.#page.update();
  }

  async #readPage(): Promise<void> {
    const { outcome, ...filters } = this.#filters;
    const query = {
      ...filters,
      ...(outcome && { outcome: outcome as 'success' | 'failure' }),
      limit: PAGE_ROWS,
      ...(this.#cursor && { cursor: this.#cursor }),
    };
    const { data, nextCursor } = await call('get', '/v1/audit/events', { query }, { signal: this.#page.signal });
    for (const event of data) {
      const read = readLoggedEvent(event);
      const { id, time, type, outcome, rpId } = read;
      this.#rows.push({ id, time, type, outcome, rpId, words: describeEvent(read) });
    }
    this.#cursor = nextCursor;
    this.#page.update();
  }
}

export const OUTCOMES = { success: 'Success', failure: 'Failure', finding: 'Finding' } as const;

const COLUMNS = [
  { title: 'Time', name: 'when', render: ({ time }: Row) => renderTime(time) },
  {
    title: 'Event',
    name: 'what',
    render: ({ id, words }: Row) => html`<a href=${linkTo(['events', id])} title=${words}>${words}</a>`,
  },
  {
    title: 'Outcome',
    name: 'outcome',
    render: ({ outcome }: Row) => html`<span class="badge ${outcome}">${OUTCOMES[outcome]}</span>`,
  },
  { title: 'Type', name: 'type', render: ({ type }: Row) => type },
  { title: 'Relying party', name: 'party', render: ({ rpId }: Row) => rpId },
];
