// What is shown when there is nothing to show.
import { REPOSITORY_PATH, expect, imagePath, rowsOf, test } from './fixtures';

test('what is not there names its nearest parent', async ({ page }) => {
  const check = async (path: string, parent: string) => {
    await page.goto(path);
    await expect(page.getByRole('heading', { level: 2, name: 'Not found' })).toBeVisible();
    await expect(page.getByText('Nearest place above it:').getByRole('link')).toHaveText(parent);
  };
  await check('/registries/nowhere', 'Registries');
  await check('/registries/nowhere/demo~app', 'Registries');
  await check(`${REPOSITORY_PATH}/sha256:${'0'.repeat(64)}`, 'demo/python-app');
  await check(`${REPOSITORY_PATH}/tags/no-such-tag`, 'demo/python-app');
  await page.goto('/no/such/room');
  await expect(page.getByRole('heading', { level: 1, name: 'There is no such page' })).toBeVisible();
});

test('an error names the request and can be tried again', async ({ page }) => {
  await page.route('**/api/v1/registries', (route) =>
    route.fulfill({
      status: 409,
      contentType: 'application/problem+json',
      body: JSON.stringify({ type: '/problems/x', title: 'x', status: 409, detail: 'the <b>reason</b>', requestId: 'req-4711' }),
    }),
  );
  await page.goto('/registries');
  const alert = page.getByRole('alert');
  await expect(alert).toContainText('the <b>reason</b>');
  await expect(alert).toContainText('req-4711');
  await page.unroute('**/api/v1/registries');
  await alert.getByRole('button', { name: 'Try again' }).click();
  await expect(rowsOf(page).first()).toContainText('main');
});

test('a repository without a push shows how to make one', async ({ page }) => {
  await page.goto('/registries/main/flows~never-pushed');
  await expect(page.getByText('Waiting for the first push.')).toBeVisible();
  await expect(page.getByText(/^docker push .+\/flows\/never-pushed:1$/)).toBeVisible();
});

test('a filter without matches says so', async ({ page }) => {
  await page.goto(`${await imagePath(page)}?q=nothing-has-this-text`);
  await expect(page.getByRole('heading', { name: 'No finding matches' })).toBeVisible();
});

test('a finding that is not in the image says so', async ({ page }) => {
  await page.goto(`${await imagePath(page)}?finding=1`);
  await expect(page.getByRole('heading', { name: 'This finding is not in this image' })).toBeVisible();
});

test('language and theme are kept', async ({ page }) => {
  await page.goto('/registries');
  for (const [button, language, code, heading] of [
    ['Language', 'Français', 'fr', 'Registres'],
    ['Langue', 'Deutsch', 'de', 'Registrys'],
    ['Sprache', 'Nederlands', 'nl', 'Registers'],
    ['Taal', 'English', 'en', 'Registries'],
  ] as const) {
    await page.getByRole('button', { name: button, exact: true }).click();
    await page.getByRole('menuitemradio', { name: language }).click();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(heading);
    await expect(page.locator('html')).toHaveAttribute('lang', code);
    await page.keyboard.press('Escape');
  }
  await page.getByRole('button', { name: 'Theme' }).click();
  await page.getByRole('menuitemradio', { name: 'High contrast' }).click();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'contrast');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'contrast');
});

test('320 pixels are enough', async ({ page }) => {
  await page.setViewportSize({ width: 320, height: 640 });
  for (const path of ['/overview', '/registries', REPOSITORY_PATH, await imagePath(page)]) {
    await page.goto(path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    // Tables and tabs scroll inside themselves; the page and its header do not.
    for (const part of [page.locator('header.top'), page.locator('main')]) {
      const overflow = await part.evaluate((element) => element.scrollWidth - element.clientWidth);
      expect(overflow, path).toBeLessThanOrEqual(0);
    }
  }
});
