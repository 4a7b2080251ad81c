import { expect, rowsOf, test } from '../fixtures';

test('a push appears, and its scan goes through its stages, without reloading', async ({ page }) => {
  const name = `live/push-${test.info().workerIndex}`;
  await page.goto(`/registries/main/${name.replace('/', '~')}`);
  await expect(page.getByText('Waiting for the first push.')).toBeVisible();
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  await page.evaluate(() => Object.assign(window, { same: true }));
  await page.request.get(`/api/v1/sample-push?repository=${name}&tag=7&step=700`);
  const row = rowsOf(page).first();
  await expect(row).toContainText('7');
  await expect(row).toContainText('Scanning: reading layers');
  await expect(row).toContainText('Scanning: matching advisories');
  await expect(row).toContainText('Scanned');
  await expect(row).toContainText('Unhealthy');
  expect(await page.evaluate(() => 'same' in window)).toBe(true);
});

test('a broken stream is opened again, and what was missed is read', async ({ page }) => {
  await page.goto('/registries/main/live~missed');
  await expect(page.getByText('Waiting for the first push.')).toBeVisible();
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  await page.evaluate(() => Object.assign(window, { same: true }));
  await page.request.get('/api/v1/sample-drop?repository=live/missed&tag=9');
  await expect(rowsOf(page).first()).toContainText('Unhealthy');
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  expect(await page.evaluate(() => 'same' in window)).toBe(true);
});
