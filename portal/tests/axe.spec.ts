// WCAG 2.2 AA by axe: all rules in one theme, contrast in the others.
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { REPOSITORY_PATH, expect, imagePath, rowsOf, test } from './fixtures';

const ROOMS = [
  '/overview', '/registries', '/registries/main', REPOSITORY_PATH, '/registries/main/flows~never-pushed', '/findings',
  '/scans', '/settings/advisories', '/no/such/room', '/sign-in',
];
const TABS = ['findings', 'packages', 'layers', 'config', 'activity'];

async function check(page: Page, theme: string) {
  await expect(page.getByRole('heading', { level: 1 })).toBeAttached();
  await expect(page.locator('.loading, [aria-busy="true"]')).toHaveCount(0);
  const axe = new AxeBuilder({ page }).exclude('[data-tabster-dummy]');
  const { violations } = await (theme === 'light'
    ? axe.withTags(['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'])
    : axe.withRules(['color-contrast'])
  ).analyze();
  const problems = violations.flatMap(({ id, nodes }) =>
    nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
  expect(problems, `${page.url()} (${theme})`).toEqual([]);
}

for (const theme of ['light', 'dark', 'contrast']) {
  test.describe(`${theme} theme`, () => {
    test.beforeEach(({ page }) => page.addInitScript((name) => localStorage.setItem('lazaret.theme', name), theme));

    for (const room of ROOMS) {
      test(room, async ({ page }) => {
        await page.goto(room);
        await check(page, theme);
      });
    }
    for (const tab of TABS) {
      test(`image, ${tab}`, async ({ page }) => {
        await page.goto(`${await imagePath(page)}?tab=${tab}`);
        await check(page, theme);
      });
    }
    test('a finding', async ({ page }) => {
      await page.goto(await imagePath(page));
      await rowsOf(page).first().click();
      await expect(page.getByRole('heading', { name: 'Affected packages' })).toBeVisible();
      await check(page, theme);
    });
  });
}
