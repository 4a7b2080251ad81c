import { expect, imagePath, pane, rowsOf, test } from './fixtures';

test('the findings table and its pane by keyboard alone', async ({ page }) => {
  await page.goto(await imagePath(page));
  const cell = (row: number, column: number) => page.locator(`[data-row="${row}"] > [data-column="${column}"]`);
  await expect(cell(0, 0)).not.toBeEmpty();
  await expect(page.locator('[role="gridcell"][tabindex="0"]')).toHaveCount(1);

  await cell(0, 0).focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowRight');
  await expect(cell(1, 1)).toBeFocused();
  await page.keyboard.press('Control+End');
  await expect(page.locator('[role="gridcell"]:focus')).toHaveAttribute('data-column', '8');
  await page.keyboard.press('Control+Home');
  await expect(cell(0, 0)).toBeFocused();

  await page.keyboard.press('Enter');
  await expect(pane(page)).toBeVisible();
  const firstUrl = page.url();
  await page.keyboard.press('j');
  await expect(page).not.toHaveURL(firstUrl);
  await expect(cell(1, 0)).toBeFocused();
  await page.keyboard.press('k');
  await expect(page).toHaveURL(firstUrl);

  await page.keyboard.press('Escape');
  await expect(pane(page)).toBeHidden();
  await expect(cell(0, 0)).toBeFocused();
});

test('a reader hears the size of the table and the place of each row', async ({ page }) => {
  await page.goto(await imagePath(page));
  await expect(rowsOf(page).first()).toHaveAttribute('aria-rowindex', '2');
  await expect(page.getByRole('grid')).toHaveAttribute('aria-colcount', '9');
});

test('question mark lists the keys, and letters can be switched off', async ({ page }) => {
  await page.goto(await imagePath(page));
  await page.locator('[data-row="0"] > [data-column="0"]').focus();
  await page.keyboard.press('?');
  const dialog = page.getByRole('dialog', { name: 'Keys' });
  await expect(dialog).toBeVisible();
  await dialog.getByRole('checkbox').uncheck();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await page.locator('[data-row="0"] > [data-column="0"]').focus();
  await page.keyboard.press('j');
  await expect(pane(page)).toBeHidden();
});

test('the first stop leads past the menu', async ({ page }) => {
  await page.goto('/registries');
  await expect(page.getByRole('grid')).toBeVisible();
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to content' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.locator('main')).toBeFocused();
});

test('a new room puts the focus on its heading', async ({ page }) => {
  await page.goto('/overview');
  // The first room keeps the browser's focus: it has to be there before there is a new one.
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  await page.getByRole('link', { name: 'Registries' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Registries' })).toBeFocused();
});
