import type { TemplateResult } from '../parts/html.js';
import type { Caller, Permission } from './caller.js';

/** A view of the page. views.ts lists them. */
export interface View {
  /** The address after `#/`, such as `events/{id}`. */
  readonly path: string;
  readonly title: string;
  /** Where the navigation has it; a view that another one leads to has none. */
  readonly group?: 'Audit' | 'Operation';
  /** The permissions of its calls. Without one of them the view is not in the navigation. */
  readonly needs: readonly Permission[];
  /** Called when the reader comes to the view, and when the query of its address changes. */
  open(page: Page): OpenView;
}

export interface OpenView {
  render(): TemplateResult;
}

/** What an open view knows of the page around it. */
export interface Page {
  /** The values in the place of `{name}`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** What follows `?` in the address. */
  readonly query: URLSearchParams;
  readonly caller: Caller;
  /** Aborted when the reader leaves. */
  readonly signal: AbortSignal;
  /** Renders the view again, in the next frame. */
  readonly update: () => void;
}
