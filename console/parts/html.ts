import { html as template, type TemplateResult } from 'lit-html';
import { isolateRuns, makeLinesVisible, makeVisible, splitByDirection } from './visible.js';

export { nothing, render, type TemplateResult } from 'lit-html';

/** The attributes that somebody reads. The others, such as `href` and `value`, stay as they are. */
const READ = new Set(['title', 'aria-label', 'placeholder', 'alt', 'aria-description']);

type Place = 'text' | 'lines' | 'attribute' | 'other';
const places = new WeakMap<TemplateStringsArray, readonly Place[]>();

/**
 * The templates of the page: those of lit-html, with every text that they show made visible and isolated. Each view takes `html`
 * from here, so no view can forget it. Values of fields stay as they are, since a form sends them.
 */
export function html(strings: TemplateStringsArray, ...values: unknown[]): TemplateResult {
  let found = places.get(strings);
  if (!found) places.set(strings, (found = findPlaces(strings)));
  return template(strings, ...values.map((value, at) => show(value, found[at]!)));
}

function findPlaces(strings: TemplateStringsArray): Place[] {
  let before = '';
  return strings.slice(0, -1).map((string) => {
    before += string;
    if (before.lastIndexOf('>') >= before.lastIndexOf('<')) return /<pre[^>]*>$/.test(before) ? 'lines' : 'text';
    const [, name = ''] = /([\w.@?-]+)=["']?[^"'=]*$/.exec(string) ?? [];
    return READ.has(name) ? 'attribute' : 'other';
  });
}

function show(value: unknown, place: Place): unknown {
  if (place === 'other') return value;
  if (typeof value === 'string' && place === 'lines') return makeLinesVisible(value);
  if (typeof value === 'string')
    return place === 'text' ? isolate(makeVisible(value)) : isolateRuns(makeVisible(value));
  if (place === 'text' && Array.isArray(value)) return value.map((each: unknown) => show(each, place));
  return value;
}

function isolate(text: string): unknown {
  const runs = splitByDirection(text);
  return runs.length === 1 ? text : runs.map((run, at) => (at % 2 === 1 ? template`<bdi>${run}</bdi>` : run));
}
