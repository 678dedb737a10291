import { html, type TemplateResult } from '../parts/html.js';
import { listParties, renderPartyField } from '../ceremonies/period.js';
import { readField } from '../parts/fields.js';
import { load, renderLoading } from '../parts/loading.js';
import { linkTo } from '../shell/router.js';
import type { View } from '../shell/view.js';

export const USERS: View = {
  path: 'users',
  title: 'Users',
  group: 'Operation',
  needs: ['passkeys:read'],
  open: (page) => {
    const parties = load(page, async (signal) => ({ listed: await listParties(page.caller, signal) }));
    return {
      render: () => html`
        <h1 tabindex="-1">Users</h1>
        <p>See the passkeys of one user, and why the user cannot sign in.</p>
        ${renderLoading(parties, ({ listed }) => renderForm(listed))}
      `,
    };
  },
};

function renderForm(parties: readonly string[] | undefined): TemplateResult {
  return html`<form class="filters" aria-label="Find a user" @submit=${find}>
    ${renderPartyField(parties, undefined)}
    <label>
      User id
      <input name="userId" required maxlength="256" placeholder="u-123" autocomplete="off" spellcheck="false" />
      <span class="faint">As the calling application has it, letter by letter.</span>
    </label>
    <div class="actions"><button class="primary">Show the passkeys</button></div>
  </form>`;
}

function find(event: SubmitEvent): void {
  event.preventDefault();
  const form = event.currentTarget as HTMLFormElement;
  location.hash = linkTo(['users', readField(form, 'rpId'), readField(form, 'userId')]);
}
