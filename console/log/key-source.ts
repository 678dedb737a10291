import { html, type TemplateResult } from '../parts/html.js';
import { readKept } from './kept-checkpoint.js';
import { isSameKeys } from './witness.js';

/** Says whose keys a view verified by. @param service its address. @param keys the verifier keys that it names */
export function renderKeySource(service: string, keys: string): TemplateResult {
  const state = compareKeys(service, keys);
  if (state === 'known') return html`The keys are those by which <a href="#/log">this browser watches the log</a>.`;
  if (state === 'other')
    return html`<strong>The keys are not those by which this browser watches the log.</strong>
      <a href="#/log">Compare them</a>.`;
  return html`The keys are those that the service names. This browser does not watch the log yet:
    <a href="#/log">begin</a>.`;
}

function compareKeys(service: string, keys: string): 'known' | 'other' | 'unwatched' {
  try {
    const kept = readKept(service);
    if (!kept) return 'unwatched';
    return isSameKeys(kept, keys) ? 'known' : 'other';
  } catch {
    // What is kept is damaged, and the view Log says so.
    return 'other';
  }
}
