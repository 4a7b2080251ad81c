import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// `npm run dev` proxies to a running server: the real one, or `npm run sample`.
const server = process.env.LAZARET_URL ?? 'http://127.0.0.1:4400';

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    // The content security policy forbids inline scripts and data: addresses.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    manifest: true,
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': { target: server, secure: false } } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
} as Parameters<typeof defineConfig>[0]);
