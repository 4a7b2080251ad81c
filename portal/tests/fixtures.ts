// What every flow starts from: a server, and a page signed in to it.
import { test as base, expect, request, type Page } from '@playwright/test';
import { PASSWORD, start } from '../dev/server.mjs';

interface Server {
  url: string;
  user: string;
  password: string;
}

interface WorkerFixtures {
  server: Server;
  /** Cookies of one sign-in, shared by the flows of a worker. */
  session: Awaited<ReturnType<Awaited<ReturnType<typeof request.newContext>>['storageState']>>;
}

/** The image that both servers hold. */
export const REPOSITORY = 'demo/python-app';
export const REPOSITORY_PATH = '/registries/main/demo~python-app';

export const test = base.extend<{ signedOut: Page }, WorkerFixtures>({
  server: [
    async ({}, use, worker) => {
      if (worker.project.name === 'real') {
        await use({
          url: process.env.LAZARET_URL ?? '',
          user: process.env.LAZARET_USER ?? 'admin',
          password: process.env.LAZARET_PASSWORD ?? '',
        });
        return;
      }
      const sample = await start(0);
      await use({ url: sample.url, user: 'admin', password: PASSWORD });
      await sample.stop();
    },
    { scope: 'worker' },
  ],
  session: [
    async ({ server }, use) => {
      const context = await request.newContext({ baseURL: server.url, ignoreHTTPSErrors: true });
      const answer = await context.post('/api/v1/session', {
        data: { username: server.user, password: server.password },
      });
      expect(answer.status(), await answer.text()).toBe(200);
      await use(await context.storageState());
      await context.dispose();
    },
    { scope: 'worker' },
  ],
  baseURL: async ({ server }, use) => use(server.url),
  storageState: async ({ session }, use) => use(session),
  page: async ({ page }, use) => {
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('console', (message) => {
      // Refused by the content security policy, among others.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) errors.push(message.text());
    });
    await use(page);
    expect(errors, 'errors in the page').toEqual([]);
  },
  signedOut: async ({ browser, baseURL }, use) => {
    const context = await browser.newContext({ baseURL, storageState: { cookies: [], origins: [] } });
    await use(await context.newPage());
    await context.close();
  },
});
export { expect };

/** Reads the API as the page would. */
export async function read<T>(page: Page, path: string): Promise<T> {
  const answer = await page.request.get(`/api/v1${path}`);
  expect(answer.status(), path).toBe(200);
  return (await answer.json()) as T;
}

/** The path of demo/python-app:1, whatever its digest. */
export async function imagePath(page: Page): Promise<string> {
  const images = await read<{ items: { digest: string; tags: string[] }[] }>(page, `${REPOSITORY_PATH.replace('/demo', '/repositories/demo')}/images?q=1`);
  const image = images.items.find(({ tags }) => tags.includes('1'));
  expect(image, 'demo/python-app:1').toBeDefined();
  return `${REPOSITORY_PATH}/${image?.digest}`;
}

/** The API's path of the image on a page. */
export const apiPath = (path: string) =>
  path.replace(/^\/registries\/([^/]+)\/([^/]+)\/(.+)$/, '/registries/$1/repositories/$2/images/$3');

export const rowsOf = (page: Page) => page.getByRole('grid').locator('[data-row]');
export const pane = (page: Page) => page.getByRole('complementary', { name: 'Finding' });
