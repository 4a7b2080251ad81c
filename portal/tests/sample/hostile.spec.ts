import { expect, imagePath, pane, rowsOf, test } from '../fixtures';

test('markup and bidi characters in an advisory stay text', async ({ page }) => {
  await page.goto(`${await imagePath(page)}?q=gpj.exe`);
  await expect(rowsOf(page)).toHaveCount(1);
  await rowsOf(page).first().click();
  await expect(pane(page).getByRole('heading', { level: 2 })).toContainText('<img src=x onerror=');
  await expect(pane(page).getByRole('heading', { level: 2 })).toContainText('U+202Egpj.exe');
  await expect(pane(page)).toContainText('<b>markup</b>');
  expect(await page.locator('img[src="x"]').count()).toBe(0);
  expect(await page.title()).not.toBe('owned');
});

test('an address that is not http stays text', async ({ page }) => {
  await page.goto(`${await imagePath(page)}?q=gpj.exe`);
  await rowsOf(page).first().click();
  await expect(pane(page).getByText('GHSA-xxxx-yyyy-zzzz')).toBeVisible();
  await expect(pane(page).getByRole('link', { name: 'GHSA-xxxx-yyyy-zzzz' })).toHaveCount(0);
  const schemes = await page.locator('a[href]').evaluateAll((links) => links.map((link) => new URL((link as HTMLAnchorElement).href).protocol));
  expect(new Set(schemes).size).toBeGreaterThan(0);
  for (const scheme of schemes) expect(['http:', 'https:']).toContain(scheme);
});

test('labels of an image stay text', async ({ page }) => {
  await page.goto(`${await imagePath(page)}?tab=config`);
  await expect(page.getByText('<b>bold</b>')).toBeVisible();
  await expect(page.getByText('U+202E')).toBeVisible();
});

test('an image without a verdict says why and what next', async ({ page }) => {
  await page.goto('/registries/main/team~odd');
  for (const [tag, cause, next] of [
    ['no-feed', 'no advisory source', 'Import one that does'],
    ['failed', 'scan failed', 'push it again'],
    ['chart', 'unsupported content', 'is not inspected'],
  ] as const) {
    await page.goto(`/registries/main/team~odd/tags/${tag}`);
    const notice = page.getByRole('region', { name: 'Not applicable' });
    await expect(notice).toContainText(cause);
    await expect(notice).toContainText(next);
    await expect(page.getByRole('heading', { name: 'No findings, and no clean bill either' })).toBeVisible();
  }
});
