// From the registries down to one finding: each screen shows what the API says.
import { expect, imagePath, apiPath, pane, read, rowsOf, test } from './fixtures';

interface Row { id: string; title: string; installed: string; fixed: string | null; packages: { name: string }[] }
interface Detail extends Row {
  severityReason: string;
  cves: { id: string; url: string | null }[];
  cvss: { vector: string; score: number }[];
  advisory: { id: string; feed: string };
  category: string;
  packages: { name: string; installed: string; fixed: string | null; purl: string; path: string | null; layer: { index: number } | null; evidence: { rule: string; comparedWith: string } }[];
  remediation: { steps: string[]; dockerfile: string | null };
  references: { url: string }[];
}

test('registries, repositories, image, finding', async ({ page }) => {
  await page.goto('/registries');
  await page.getByRole('grid').getByRole('link', { name: 'main', exact: true }).click();
  await page.getByLabel('Repository name').fill('python-app');
  await page.getByRole('grid').getByRole('link', { name: 'demo/python-app' }).click();
  await page.getByRole('grid').getByRole('link', { name: '1', exact: true }).first().click();
  await expect(page.getByRole('heading', { level: 1, name: 'demo/python-app:1' })).toBeVisible();

  const path = await imagePath(page);
  const findings = await read<{ total: number; items: Row[] }>(page, `${apiPath(path)}/findings?limit=200`);
  expect(findings.total).toBeGreaterThan(0);
  await expect(page.getByRole('grid')).toHaveAttribute('aria-rowcount', String(findings.total + 1));
  const first = findings.items[0] as Row;
  await expect(rowsOf(page).first()).toContainText(first.id);

  await rowsOf(page).first().click();
  await expect(page).toHaveURL(new RegExp(`finding=${first.id}`));
  const detail = await read<Detail>(page, `${apiPath(path)}/findings/${first.id}`);
  const shown = pane(page);
  await expect(shown.getByText(detail.id, { exact: true })).toBeVisible();
  for (const text of [
    detail.severityReason, detail.advisory.id, detail.advisory.feed, detail.category,
    ...detail.cves.map(({ id }) => id),
    ...detail.cvss.map(({ vector }) => vector),
    ...detail.packages.flatMap((item) => [item.name, item.installed, item.purl, item.path, item.evidence.rule, item.evidence.comparedWith]),
    ...detail.remediation.steps, detail.remediation.dockerfile,
  ]) {
    if (text) await expect(shown, text).toContainText(text);
  }
});

test('each tab shows as many rows as the API counts', async ({ page }) => {
  const path = await imagePath(page);
  for (const [tab, kind] of [['Packages', 'packages'], ['Activity', 'history']] as const) {
    const { total } = await read<{ total: number }>(page, `${apiPath(path)}/${kind}?limit=1`);
    await page.goto(path);
    await page.getByRole('tab', { name: tab }).click();
    if (total > 0) await expect(page.getByRole('grid')).toHaveAttribute('aria-rowcount', String(total + 1));
  }
  const image = await read<{ layers: unknown[]; digest: string }>(page, apiPath(path));
  await page.goto(`${path}?tab=layers`);
  await expect(page.getByRole('grid')).toHaveAttribute('aria-rowcount', String(image.layers.length + 1));
  await page.goto(`${path}?tab=config`);
  await expect(page.getByText(image.digest, { exact: true })).toBeVisible();
});

test('filters and the open pane are in the URL, and back restores them', async ({ page }) => {
  const path = await imagePath(page);
  await page.goto(path);
  await page.getByRole('group', { name: 'Severity' }).getByRole('button', { name: 'High' }).click();
  await expect(page).toHaveURL(/sev=high/);
  const { total } = await read<{ total: number }>(page, `${apiPath(path)}/findings?severity=high&limit=1`);
  await expect(page.locator('.result-count')).toHaveText(new RegExp(`^${total} row`));
  await page.getByRole('link', { name: 'Overview' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  await page.goBack();
  await expect(page.getByRole('button', { name: 'High' })).toHaveAttribute('aria-pressed', 'true');
  await expect(page.locator('.result-count')).toHaveText(new RegExp(`^${total} row`));
});

test('columns are chosen in the URL', async ({ page }) => {
  await page.goto(`${await imagePath(page)}?cols=id,cves,kev`);
  await expect(page.getByRole('columnheader')).toHaveText(['ID', 'CVEs', 'Exploited']);
  await page.getByRole('button', { name: 'Columns' }).click();
  await page.getByRole('menuitemcheckbox', { name: 'Layer' }).click();
  await expect(page).toHaveURL(/cols=id%2Ccves%2Ckev%2Clayer/);
  await page.keyboard.press('Escape');
  await expect(page.getByRole('columnheader')).toHaveText(['ID', 'CVEs', 'Exploited', 'Layer']);
});

test('a tag address shows the image it points at', async ({ page }) => {
  await page.goto('/registries/main/demo~python-app/tags/1');
  const path = await imagePath(page);
  await expect(page).toHaveURL(new RegExp(path));
});

test('search finds the images a vulnerability is in', async ({ page }) => {
  const path = await imagePath(page);
  const { items } = await read<{ items: { cves: string[] }[] }>(page, `${apiPath(path)}/findings?limit=200`);
  const cve = items.flatMap(({ cves }) => cves)[0] ?? '';
  await page.goto('/overview');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  await page.keyboard.press('Control+k');
  await page.keyboard.type(cve);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Where am I affected?' })).toBeVisible();
  await expect(rowsOf(page).filter({ hasText: 'demo/python-app' }).first()).toContainText(cve);
});
