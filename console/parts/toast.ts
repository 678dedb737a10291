import { html, type TemplateResult } from './html.js';

const SHOWN_MS = 8_000;
let toasts: readonly { readonly text: string }[] = [];

/** Tells the reader that something is done. A reader of the screen hears it, too. */
export function toast(text: string): void {
  const added = { text };
  change([...toasts, added]);
  setTimeout(() => {
    change(toasts.filter((other) => other !== added));
  }, SHOWN_MS);
}

/** Takes the messages away. */
export function clearToasts(): void {
  change([]);
}

function change(next: typeof toasts): void {
  toasts = next;
  dispatchEvent(new Event('shellchange'));
}

export function renderToasts(): TemplateResult[] {
  return toasts.map(({ text }) => html`<p class="toast">${text}</p>`);
}
