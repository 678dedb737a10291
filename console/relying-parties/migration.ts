import { html, type TemplateResult } from '../parts/html.js';
import { renderTime } from '../parts/time.js';
import type { Schemas } from '../shell/api.js';

type Progress = Schemas['MigrationProgress'];

/** Shows how many users have moved to the successor. */
export function renderMigration({ successor, endsAt, hasEnded, countedAt, users }: Progress): TemplateResult {
  if (countedAt === null || !users)
    return html`<section class="box">
      <h2>Users who have moved to ${successor}</h2>
      <p>The first count is under way. Come back in a few minutes.</p>
    </section>`;
  const { onlyHere, both, onlyAtSuccessor } = users;
  const lately = onlyHere.byLastUse.within7Days + onlyHere.byLastUse.within30Days;
  const tiles: [label: string, count: number, note: string][] = [
    ['Only here', onlyHere.users, `${lately.toLocaleString('en')} of them signed in within 30 days`],
    ['At both', both.users, 'can use either'],
    ['Only at the successor', onlyAtSuccessor.users, 'have moved'],
  ];
  return html`<section class="box">
    <h2>Users who have moved to ${successor}</h2>
    <dl class="tiles">
      ${tiles.map(
        ([label, count, note]) =>
          html`<div>
            <dt>${label}</dt>
            <dd>${count.toLocaleString('en')} <span class="faint">${note}</span></dd>
          </div>`,
      )}
    </dl>
    <p>
      ${
        endsAt === null
          ? 'No end is set.'
          : html`${hasEnded ? 'It ended at' : 'It ends at'} ${renderTime(endsAt)}: those with a passkey only here
            ${hasEnded ? 'are' : 'would be'} shut out.`
      }
      <span class="faint">Counted at ${renderTime(countedAt)}.</span>
    </p>
  </section>`;
}
