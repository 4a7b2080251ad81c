// Fifty thousand findings, generated: node counts and jumps do not depend on the machine.
import { expect, read, rowsOf, test } from '../fixtures';

const NODES_MAX = 1_500;
const TOTAL = 50_000;

async function open(page: Parameters<typeof rowsOf>[0]) {
  const repository = '/registries/main/repositories/bench~fifty-thousand';
  const { items } = await read<{ items: { digest: string }[] }>(page, `${repository}/images`);
  await page.goto(`/registries/main/bench~fifty-thousand/${items[0]?.digest}`);
  await expect(page.getByRole('grid')).toHaveAttribute('aria-rowcount', String(TOTAL + 1));
  await expect(rowsOf(page).first()).toContainText(/\d{16}/);
}

test('the page holds a bounded number of nodes', async ({ page }) => {
  await open(page);
  const nodes = await page.evaluate(() => document.querySelectorAll('*').length);
  expect(nodes).toBeLessThan(NODES_MAX);
});

test('jump to the last row, and back', async ({ page }) => {
  await open(page);
  await page.locator('[data-row="0"] > [data-column="0"]').focus();
  await page.keyboard.press('Control+End');
  const last = page.locator(`[data-row="${TOTAL - 1}"]`);
  await expect(last).toHaveAttribute('aria-rowindex', String(TOTAL + 1));
  await expect(last).toContainText(/\d{16}/);
  await expect(last.locator('[data-column="8"]')).toBeFocused();
  expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(NODES_MAX);
  await page.keyboard.press('Control+Home');
  await expect(page.locator('[data-row="0"] > [data-column="0"]')).toBeFocused();
});

test('scrolling far reads only the pages in view', async ({ page }) => {
  await open(page);
  const offsets = new Set<string | null>();
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.pathname.endsWith('/findings')) offsets.add(url.searchParams.get('offset'));
  });
  await page.locator('.grid-scroller').evaluate((scroller) => scroller.scrollTo({ top: 900_000 }));
  await expect(page.locator('[data-row="25000"]')).toContainText(/\d{16}/);
  expect(offsets.size).toBeLessThanOrEqual(2);
  expect([...offsets]).toContain('25000');
});

test('the server filters and sorts', async ({ page }) => {
  await open(page);
  await page.getByRole('columnheader', { name: 'CVSS' }).getByRole('button').click();
  await expect(page).toHaveURL(/sort=-cvss/);
  await expect(page.getByRole('columnheader', { name: 'CVSS' })).toHaveAttribute('aria-sort', 'descending');
  await expect(rowsOf(page).first()).toContainText('10.0');
  await page.getByLabel('CVE, package, text or ID').fill('lodash');
  await expect(rowsOf(page).first()).toContainText('lodash');
  await expect(page.locator('.result-count')).not.toHaveText('50,000 rows');
});
