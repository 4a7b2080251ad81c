// A push over the wire while its page is open, and what the known image must show.
import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { APIRequestContext } from '@playwright/test';
import { expect, imagePath, pane, rowsOf, test } from '../fixtures';

const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** One file in a tar archive, as a layer has it. */
function tar(path: string, content: string): Buffer {
  const body = Buffer.from(content);
  const header = Buffer.alloc(512);
  header.write(path, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write('0ustar\u000000', 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((512 - (body.length % 512)) % 512);
  return Buffer.concat([header, body, padding, Buffer.alloc(1024)]);
}

async function push(request: APIRequestContext, authorization: string, repository: string, tag: string) {
  const headers = { authorization };
  const upload = async (bytes: Buffer) => {
    const begun = await request.post(`/v2/${repository}/blobs/uploads/`, { headers });
    expect(begun.status(), await begun.text()).toBe(202);
    const location = new URL(begun.headers().location ?? '', begun.url());
    location.searchParams.set('digest', digestOf(bytes));
    const done = await request.put(location.href, { headers: { ...headers, 'content-type': 'application/octet-stream' }, data: bytes });
    expect(done.status(), await done.text()).toBe(201);
  };
  const files = tar('etc/os-release', `ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian ${randomBytes(4).toString('hex')}"\n`);
  const layer = gzipSync(files);
  const config = Buffer.from(
    JSON.stringify({ os: 'linux', architecture: 'amd64', config: {}, rootfs: { type: 'layers', diff_ids: [digestOf(files)] } }),
  );
  await upload(layer);
  await upload(config);
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digestOf(layer), size: layer.length }],
  };
  const answer = await request.put(`/v2/${repository}/manifests/${tag}`, {
    headers: { ...headers, 'content-type': manifest.mediaType },
    data: Buffer.from(JSON.stringify(manifest)),
  });
  expect(answer.status(), await answer.text()).toBe(201);
}

test('a push appears on its open page without reloading', async ({ page, server }) => {
  const name = `flows/live-${randomBytes(4).toString('hex')}`;
  const authorization = `Basic ${Buffer.from(`${server.user}:${server.password}`).toString('base64')}`;
  await page.goto(`/registries/main/${name.replace('/', '~')}`);
  await expect(page.getByText('Waiting for the first push.')).toBeVisible();
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  await page.evaluate(() => Object.assign(window, { same: true }));
  await push(page.request, authorization, name, 'one');
  const row = rowsOf(page).first();
  await expect(row).toContainText('one');
  await expect(row).toContainText(/Healthy|Unhealthy|Not applicable: (?!not scanned)/);
  expect(await page.evaluate(() => 'same' in window)).toBe(true);
});

test('the known image shows its known packages, each with proof', async ({ page }) => {
  for (const [name, version] of [['django', '2.2'], ['pyyaml', '5.1'], ['jinja2', '2.10']] as const) {
    await page.goto(`${await imagePath(page)}?q=${name}`);
    await rowsOf(page).first().click();
    await expect(pane(page)).toContainText(version);
    await expect(pane(page)).toContainText(/dist-info|egg-info/);
    await expect(pane(page).getByText('Evidence').first()).toBeVisible();
  }
});
