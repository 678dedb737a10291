import { html, type TemplateResult } from './html.js';
import { ref } from 'lit-html/directives/ref.js';
import { repeat } from 'lit-html/directives/repeat.js';
import { styled } from './styled.js';

export interface Column<Row> {
  readonly title: string;
  /** The class of its cells. */
  readonly name: string;
  readonly render: (row: Row) => TemplateResult | string;
}

interface Options<Row> {
  /** What the table is, for a reader of the screen. */
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly key: (row: Row) => string;
  readonly update: () => void;
  /** Called when the reader comes near the end of the rows. */
  readonly onNearEnd?: () => void;
}

/** Rows beyond the edges, so that a fast scroll shows no gap. */
const MARGIN = 12;
const NEAR_END = 100;

/**
 * A table that draws the rows in sight alone, so that 100,000 of them scroll as ten do. Every row has the height `--row-height`,
 * which style sheets set by the width of the screen.
 */
export class VirtualTable<Row> {
  readonly #options: Options<Row>;
  readonly #resized = new ResizeObserver(() => {
    this.#measure();
  });
  #viewport: HTMLElement | undefined;
  #top = 0;
  #height = 600;
  #rowHeight = 40;

  constructor(options: Options<Row>) {
    this.#options = options;
  }

  /** @param isWhole false if there are more rows than these */
  render(rows: readonly Row[], isWhole = true): TemplateResult {
    const { label, columns, key } = this.#options;
    const first = Math.max(0, Math.floor(this.#top / this.#rowHeight) - MARGIN);
    const last = Math.min(rows.length, Math.ceil((this.#top + this.#height) / this.#rowHeight) + MARGIN);
    if (last + NEAR_END >= rows.length) this.#options.onNearEnd?.();
    return html`<div
      class="viewport"
      tabindex="0"
      role="region"
      aria-label=${label}
      @scroll=${this.#scroll}
      ${ref(this.#attach)}
    >
      <div role="table" aria-label=${label} aria-rowcount=${isWhole ? rows.length + 1 : -1}>
        <div role="rowgroup" class="head">
          <div role="row" aria-rowindex="1" class="row">
            ${columns.map(({ title, name }) => html`<div role="columnheader" class=${name}>${title}</div>`)}
          </div>
        </div>
        <div role="rowgroup" class="rows" ${styled({ height: `${String(rows.length * this.#rowHeight)}px` })}>
          ${repeat(
            rows.slice(first, last),
            key,
            (row, index) =>
              html`<div
                role="row"
                class="row"
                aria-rowindex=${first + index + 2}
                ${styled({ transform: `translateY(${String((first + index) * this.#rowHeight)}px)` })}
              >
                ${columns.map(({ name, render }) => html`<div role="cell" class=${name}>${render(row)}</div>`)}
              </div>`,
          )}
        </div>
      </div>
    </div>`;
  }

  /** Shows the first row again. */
  scrollToStart(): void {
    this.#top = 0;
    if (this.#viewport) this.#viewport.scrollTop = 0;
  }

  readonly #attach = (element: Element | undefined): void => {
    this.#resized.disconnect();
    this.#viewport = element as HTMLElement | undefined;
    if (!this.#viewport) return;
    this.#resized.observe(this.#viewport);
    this.#measure();
  };

  readonly #scroll = (event: Event): void => {
    this.#top = (event.currentTarget as HTMLElement).scrollTop;
    this.#options.update();
  };

  #measure(): void {
    if (!this.#viewport) return;
    const rowHeight = Number.parseFloat(getComputedStyle(this.#viewport).getPropertyValue('--row-height')) || 40;
    const height = this.#viewport.clientHeight;
    if (rowHeight === this.#rowHeight && height === this.#height) return;
    [this.#rowHeight, this.#height] = [rowHeight, height];
    this.#options.update();
  }
}
