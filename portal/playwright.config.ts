import { existsSync } from 'node:fs';
import { defineConfig } from '@playwright/test';

// Debian's name, and others'.
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

// Flows run on generated data, and, where LAZARET_URL names a server that holds
// demo/python-app:1, on it too.
const real = process.env.LAZARET_URL !== undefined;
if (!real && process.env.TEST_WORKER_INDEX === undefined) {
  console.log('skipped: flows against a real server (LAZARET_URL is not set)');
}

export default defineConfig({
  testDir: 'tests',
  timeout: 60_000,
  // The machine that tests may be busy; what is awaited is awaited patiently.
  expect: { timeout: 15_000 },
  forbidOnly: true,
  maxFailures: 12,
  fullyParallel: true,
  workers: 2,
  reporter: 'list',
  use: {
    viewport: { width: 1400, height: 860 },
    locale: 'en-GB',
    // The server's own certificate authority is not in the browser's store.
    ignoreHTTPSErrors: true,
    screenshot: 'only-on-failure',
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? BROWSERS.find((path) => existsSync(path)),
      args: [
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update', '--disable-sync',
      ],
    },
  },
  projects: [
    { name: 'sample', testIgnore: 'real/**' },
    ...(real ? [{ name: 'real', testIgnore: 'sample/**' }] : []),
  ],
});
