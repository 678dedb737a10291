import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { ConsoleStage } from './console-stage.ts';
import { employ, failToSignIn, importPasskeys } from './console-people.ts';

/** Makes the operator's pictures of docs/console.md again: `npm run build && node test/browser/operator-pictures.ts` */
const RP = 'login.bank.example';
const MODELS = [
  ['fbfc3007-154e-4ecc-8c0b-6e020557d7bd', true, 22],
  ['ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4', true, 14],
  ['08987058-cadc-4b81-b6e1-30de50dcbe96', false, 6],
  ['ee882879-721c-4913-9775-3dfcce97072a', false, 4],
] as const;

/** What is counted in each of the last 24 hours, as a share of the busiest one. */
const DAY = [3, 2, 1, 1, 2, 6, 18, 45, 80, 95, 100, 92, 78, 84, 90, 88, 82, 76, 70, 64, 50, 34, 18, 8];
const REFUSED = { 'user-verification-missing': 0.02, 'origin-mismatch': 0.012, 'credential-suspended': 0.004 };

const stage = await ConsoleStage.set();
try {
  await employ(stage, [
    {
      name: 'operator',
      permissions: [
        ...['relying-parties:read', 'relying-parties:write', 'passkeys:read', 'passkeys:manage', 'passkeys:import'],
        ...['statistics:read', 'audit:read'],
      ],
    },
    { name: 'auth-service', permissions: ['passkeys:authenticate', 'passkeys:register'] },
  ]);
  const operator = stage.connectAs('operator');
  await operator.putRelyingParty(RP, { name: 'Example Bank', origins: [`https://${RP}`] });
  const passkeys = MODELS.flatMap(([aaguid, backupEligible, count]) =>
    Array.from({ length: count }, (_, at) => ({
      ...{ userId: `u-${String(at)}`, name: 'Passkey', aaguid, backupEligible, backedUp: backupEligible },
      lastUsedAt: new Date(Date.now() - at * 86_400_000).toISOString(),
    })),
  );
  const createdAt = new Date(Date.now() - 200 * 86_400_000).toISOString();
  const lastUsedAt = new Date(Date.now() - 3 * 86_400_000).toISOString();
  const [suspended] = await importPasskeys(operator, RP, [
    {
      ...{ userId: 'u-123', name: 'Ada’s phone', aaguid: MODELS[0][0], createdAt, lastUsedAt },
      ...{ status: 'suspended' as const, statusReason: 'the user reported the phone as lost' },
    },
    ...passkeys,
  ]);
  await failToSignIn(stage.connectAs('auth-service'), RP, 'u-123', suspended!);
  const now = Math.floor(Date.now() / 3_600_000);
  for (const [at, share] of DAY.entries()) {
    const answered = Math.round(share * 42);
    const refused = Object.entries(REFUSED).map(([reason, part]) => ['failure', reason, Math.round(answered * part)]);
    for (const [kind, reason, count] of [
      ['begun', '', Math.round(answered * 1.1)],
      ['answered', '', Math.round(answered * 1.04)],
      ['success', '', answered],
      ...refused,
    ])
      if (count)
        await stage.sql(
          `INSERT INTO statistic_ceremony (rp_id, hour, ceremony, kind, reason, count) VALUES ($1, $2, 'authentication', $3, $4, $5)
           ON CONFLICT DO NOTHING`,
          [RP, now - DAY.length + 1 + at, kind, reason, count],
        );
  }
  const { page, go, chooseColours } = await openAs('operator');
  await page.setViewportSize({ width: 1120, height: 690 });
  await chooseColours('Light');
  await go(`ceremonies?rpId=${RP}`, 'Ceremonies');
  await page.getByText('Counted up to').waitFor();
  await take(page, 'ceremonies');
  await go(`users/${RP}/u-123`, /u-123/);
  await page.getByRole('button', { name: 'Find out' }).click();
  await page.getByText('The last refused ceremonies').waitFor();
  await take(page, 'user');
  await chooseColours('Dark');
  await go(`relying-parties/${RP}`, RP);
  await page.getByRole('button', { name: 'we demanded device-bound passkeys' }).click();
  await page.getByRole('heading', { name: /This would refuse/ }).waitFor();
  await page.evaluate(() => {
    document.querySelector('#change')!.scrollIntoView();
  });
  await take(page, 'policy');
} finally {
  await stage.strike();
}

async function openAs(name: string) {
  const open = await stage.open(name);
  return {
    page: open.page,
    go: (path: string, heading: string | RegExp) => open.go(path, heading),
    chooseColours: (theme: 'Light' | 'Dark') => open.chooseColours(theme),
  };
}

async function take(page: Page, name: string): Promise<void> {
  await page.mouse.move(0, 0);
  await page.waitForTimeout(300);
  const path = fileURLToPath(new URL(`../../docs/console/${name}.png`, import.meta.url));
  await page.screenshot({ path, animations: 'disabled' });
}
