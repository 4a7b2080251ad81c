// Every room, and how axe looks at one.
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { REPOSITORY_PATH, expect, imagePath, rowsOf, test } from './fixtures';

const ROOMS = [
  '/overview', '/registries', '/registries/main', REPOSITORY_PATH, '/registries/main/flows~never-pushed', '/findings',
  '/scans', '/settings/advisories', '/no/such/room', '/sign-in',
];
const TABS = ['findings', 'packages', 'layers', 'config', 'activity'];

export const EVERYTHING = { tags: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] };
/** Themes differ in colours only. */
export const COLOURS = { rules: ['color-contrast'] };

async function check(page: Page, look: { tags: string[] } | { rules: string[] }) {
  await expect(page.getByRole('heading', { level: 1 })).toBeAttached();
  await expect(page.locator('.loading, [aria-busy="true"]')).toHaveCount(0);
  // Fluent's focus sentinels are hidden and focusable on purpose.
  const axe = new AxeBuilder({ page }).exclude('[data-tabster-dummy]');
  const { violations } = await ('tags' in look ? axe.withTags(look.tags) : axe.withRules(look.rules)).analyze();
  const problems = violations.flatMap(({ id, nodes }) =>
    nodes.slice(0, 3).map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
  expect(problems, page.url()).toEqual([]);
}

/** One flow per room, in one theme. */
export function checkEveryRoom(theme: string, look: Parameters<typeof check>[1]) {
  test.describe(`${theme} theme`, () => {
    test.beforeEach(({ page }) => page.addInitScript((name) => localStorage.setItem('lazaret.theme', name), theme));

    for (const room of ROOMS) {
      test(room, async ({ page }) => {
        await page.goto(room);
        await check(page, look);
      });
    }
    for (const tab of TABS) {
      test(`image, ${tab}`, async ({ page }) => {
        await page.goto(`${await imagePath(page)}?tab=${tab}`);
        await check(page, look);
      });
    }
    test('a finding', async ({ page }) => {
      await page.goto(await imagePath(page));
      await rowsOf(page).first().click();
      await expect(page.getByRole('heading', { name: 'Affected packages' })).toBeVisible();
      await check(page, look);
    });
  });
}
