import { html, type TemplateResult } from 'lit-html';
import { renderProblem } from '../shell/problem.js';
import type { Page } from '../shell/view.js';

/** Something that a view reads from the service. */
export interface Loading<Value> {
  readonly value: Value | undefined;
  readonly error: unknown;
  readonly isLoading: boolean;
  /** Reads again. What was read stays until then. */
  readonly reload: () => void;
}

/** Reads, and renders the view when it is read. */
export function load<Value>(page: Page, read: (signal: AbortSignal) => Promise<Value>): Loading<Value> {
  const state: { value: Value | undefined; error: unknown; isLoading: boolean } & Loading<Value> = {
    value: undefined,
    error: undefined,
    isLoading: false,
    reload() {
      [state.isLoading, state.error] = [true, undefined];
      page.update();
      read(page.signal)
        .then(
          (value) => {
            state.value = value;
          },
          (error: unknown) => {
            state.error = error;
          },
        )
        .finally(() => {
          state.isLoading = false;
          if (!page.signal.aborted) page.update();
        });
    },
  };
  state.reload();
  return state;
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
