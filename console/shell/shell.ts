import { html, nothing, render, type TemplateResult } from '../parts/html.js';
import { renderToasts } from '../parts/toast.js';
import { nameZone } from '../parts/time.js';
import { type Caller, readCaller, shortenId } from './caller.js';
import { renderProblem } from './problem.js';
import { findPlace, type Place } from './router.js';
import { applyTheme, readTheme, type Theme, THEMES } from './theme.js';
import type { OpenView, View } from './view.js';
import { VIEWS } from './views.js';

interface Opened {
  readonly place: Place;
  readonly view: OpenView;
  readonly end: AbortController;
}

const NAME = 'Passkey Manager console';

let caller: Caller | undefined;
let failure: unknown;
let opened: Opened | undefined;
let isDrawn = true;

/** Reads who the caller is, and shows the view of the address from then on. */
export async function startShell(): Promise<void> {
  addEventListener('hashchange', follow);
  addEventListener('shellchange', update);
  // What a view does not handle must not pass unseen.
  addEventListener('unhandledrejection', ({ reason }) => {
    if ((reason as Error | undefined)?.name !== 'AbortError') fail(reason);
  });
  await start();
}

async function start(): Promise<void> {
  [caller, failure] = [undefined, undefined];
  draw();
  try {
    caller = await readCaller();
  } catch (error) {
    fail(error);
    return;
  }
  follow();
}

function fail(error: unknown): void {
  failure = error;
  update();
}

/** Opens the view of the address. */
function follow(): void {
  if (!caller) return;
  failure = undefined;
  const first = VIEWS.find((view) => lacking(view).length === 0);
  if (/^#?\/?$/.test(location.hash) && first) history.replaceState(null, '', `#/${first.path}`);
  const place = findPlace(location.hash, VIEWS);
  const moved = describePath(place) !== describePath(opened?.place);
  opened?.end.abort();
  opened = undefined;
  if (place && lacking(place.view).length === 0) opened = open(place, caller);
  document.title = place ? `${place.view.title} – ${NAME}` : NAME;
  draw();
  // A reader of the screen hears the new heading; a changed filter leaves the focus where it is.
  if (moved) document.querySelector<HTMLElement>('main h1')?.focus();
  if (moved) scrollTo(0, 0);
  // On a narrow screen the views are a row that scrolls.
  document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
}

function open(place: Place, caller: Caller): Opened {
  const end = new AbortController();
  const { parameters, query } = place;
  return { place, view: place.view.open({ parameters, query, caller, signal: end.signal, update }), end };
}

function describePath(place: Place | undefined): string {
  return place ? JSON.stringify([place.view.path, place.parameters]) : '';
}

/** The permissions that a view needs and the caller does not have. */
function lacking({ needs }: View): string[] {
  return needs.filter((permission) => !caller?.permissions.has(permission));
}

/** Draws in the next frame. */
function update(): void {
  if (!isDrawn) return;
  isDrawn = false;
  requestAnimationFrame(draw);
}

function draw(): void {
  isDrawn = true;
  render(renderShell(), document.body);
}

function renderShell(): TemplateResult {
  return html`
    <a class="skip" href="#main" @click=${skip}>Skip to the content</a>
    <header class="top">
      <p class="name">${NAME}</p>
      ${caller ? renderCaller(caller) : nothing} ${renderThemes()}
    </header>
    ${caller ? renderNavigation() : nothing}
    <main id="main" tabindex="-1">${renderMain()}</main>
    <div class="toasts" role="status" aria-live="polite">${renderToasts()}</div>
  `;
}

function skip(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('#main')?.focus();
}

function renderCaller({ id, service }: Caller): TemplateResult {
  return html`<p class="caller" title=${id}>
    <strong>${shortenId(id)}</strong> <span class="faint">at ${service.replace('https://', '')}</span>
  </p>`;
}

function renderThemes(): TemplateResult {
  const choose = (event: Event): void => {
    applyTheme((event.target as HTMLSelectElement).value as Theme);
  };
  const [chosen, names] = [readTheme(), { system: 'As the system', light: 'Light', dark: 'Dark' }];
  return html`<label class="theme">
    <span>Colours</span>
    <select @change=${choose}>
      ${THEMES.map((theme) => html`<option value=${theme} ?selected=${theme === chosen}>${names[theme]}</option>`)}
    </select>
  </label>`;
}

function renderNavigation(): TemplateResult {
  const shown = VIEWS.filter((view) => view.group && lacking(view).length === 0);
  const current = opened?.place.view.path.split('/')[0];
  const groups = [...Map.groupBy(shown, ({ group }) => group!)];
  return html`<nav aria-label="Views">
    ${groups.map(
      ([group, views]) => html`
        <p class="group" id=${`group-${group}`}>${group}</p>
        <ul aria-labelledby=${`group-${group}`}>
          ${views.map(
            ({ path, title }) =>
              html`<li>
                <a href=${`#/${path}`} aria-current=${path === current ? 'page' : nothing}>${title}</a>
              </li>`,
          )}
        </ul>
      `,
    )}
    <p class="faint zone">Times are in ${nameZone()}. Point at one to see it in UTC.</p>
  </nav>`;
}

function renderMain(): TemplateResult {
  if (failure !== undefined) return renderProblem(failure, () => void start());
  if (!caller) return html`<p class="loading">Asking the service who you are …</p>`;
  if (opened) return opened.view.render();
  const place = findPlace(location.hash, VIEWS);
  return place ? renderLacking(place.view, caller) : renderLost(caller);
}

function renderLacking(view: View, { id }: Caller): TemplateResult {
  return html`<h1 tabindex="-1">${view.title}</h1>
    <section class="empty">
      <p>
        This view needs ${joinPermissions(lacking(view))}, which the access policy does not grant to <code>${id}</code>.
      </p>
      <p>Whoever keeps the policy can add it to that identity. The change is in force without a restart.</p>
    </section>`;
}

function joinPermissions(permissions: readonly string[]): TemplateResult[] {
  return permissions.map((permission, index) => html`${index === 0 ? '' : ' and '}<code>${permission}</code>`);
}

function renderLost({ permissions, id }: Caller): TemplateResult {
  if (permissions.size > 0 && VIEWS.some((view) => view.group && lacking(view).length === 0))
    return html`<h1 tabindex="-1">No such view</h1>
      <section class="empty"><p>The navigation lists the views that your permissions open.</p></section>`;
  return html`<h1 tabindex="-1">Nothing to show</h1>
    <section class="empty">
      <p>The access policy grants <code>${id}</code> no permission that a view of the console needs.</p>
      <p>An auditor needs <code>audit:read</code>, an operator <code>statistics:read</code> and others.</p>
    </section>`;
}
