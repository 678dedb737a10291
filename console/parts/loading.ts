import { html, type TemplateResult } from './html.js';
import { renderProblem } from '../shell/problem.js';
import type { Page } from '../shell/view.js';

/** Something that a view reads from the service. */
export interface Loading<Value> {
  readonly value: Value | undefined;
  readonly error: unknown;
  readonly isLoading: boolean;
  /** What the latest reading gives. */
  readonly done: Promise<Value>;
  /** Reads again. What was read stays until then. */
  readonly reload: () => void;
}

/** Reads, and renders the view when it is read. */
export function load<Value>(page: Page, read: (signal: AbortSignal) => Promise<Value>): Loading<Value> {
  return new Reading(page, read);
}

class Reading<Value> implements Loading<Value> {
  value: Value | undefined;
  error: unknown;
  isLoading = false;
  done!: Promise<Value>;
  readonly #page: Page;
  readonly #read: (signal: AbortSignal) => Promise<Value>;

  constructor(page: Page, read: (signal: AbortSignal) => Promise<Value>) {
    [this.#page, this.#read] = [page, read];
    this.reload();
  }

  readonly reload = (): void => {
    [this.isLoading, this.error] = [true, undefined];
    this.done = this.#read(this.#page.signal);
    void this.#settle();
    this.#page.update();
  };

  async #settle(): Promise<void> {
    try {
      this.value = await this.done;
    } catch (error) {
      this.error = error;
    }
    this.isLoading = false;
    if (!this.#page.signal.aborted) this.#page.update();
  }
}

/** Shows what was read, that it is being read, or why it was not. */
export function renderLoading<Value>(
  { value, error, isLoading, reload }: Loading<Value>,
  show: (value: Value) => TemplateResult,
): TemplateResult {
  if (error !== undefined) return renderProblem(error, reload);
  if (value !== undefined) return html`<div aria-busy=${String(isLoading)}>${show(value)}</div>`;
  return html`<p class="loading" role="status">Loading …</p>`;
}

/** Says that there is nothing, and what to do. */
export function renderEmpty(title: string, step: string | TemplateResult): TemplateResult {
  return html`<section class="empty">
    <p><strong>${title}</strong></p>
    <p>${step}</p>
  </section>`;
}
