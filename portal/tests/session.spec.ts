import { REPOSITORY_PATH, expect, test } from './fixtures';

test('a deep link asks to sign in and then leads where it pointed', async ({ signedOut: page, server }) => {
  await page.goto(`${REPOSITORY_PATH}?by=digest`);
  await expect(page.getByRole('heading', { name: 'Sign in to Lazaret' })).toBeVisible();
  await page.getByLabel('User name').fill(server.user);
  await page.getByLabel('Password').fill(server.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'demo/python-app' })).toBeVisible();
  expect(new URL(page.url()).pathname + new URL(page.url()).search).toBe(`${REPOSITORY_PATH}?by=digest`);
});

test('a wrong password is refused in words', async ({ signedOut: page, server }) => {
  await page.goto('/sign-in');
  await page.getByLabel('User name').fill(server.user);
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('alert')).toHaveText('Name or password is wrong.');
});

test('signing in never leads to another site', async ({ signedOut: page, server }) => {
  await page.goto('/sign-in?to=//evil.example/');
  await page.getByLabel('User name').fill(server.user);
  await page.getByLabel('Password').fill(server.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await expect(page).toHaveURL(/\/overview$/);
});

test('signing out ends the session', async ({ signedOut: page, server }) => {
  await page.goto('/sign-in');
  await page.getByLabel('User name').fill(server.user);
  await page.getByLabel('Password').fill(server.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: server.user }).click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await expect(page.getByRole('heading', { name: 'Sign in to Lazaret' })).toBeVisible();
  await page.goto('/overview');
  await expect(page).toHaveURL(/\/sign-in\?to=%2Foverview$/);
});

test('a session that ends meanwhile leads to sign-in and back', async ({ page }) => {
  await page.goto('/registries');
  await expect(page.getByRole('grid')).toBeVisible();
  await page.context().clearCookies();
  await page.getByRole('link', { name: 'Advisories', exact: true }).click();
  await expect(page).toHaveURL(/\/sign-in\?to=%2Fsettings%2Fadvisories$/);
});
