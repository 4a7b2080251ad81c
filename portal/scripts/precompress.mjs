// Puts a gzip and a Brotli version beside each file of the build, so that the
// server compresses nothing while it serves.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

// Below this a compressed answer saves no packet.
const SIZE_BYTES_MIN = 1_024;

const dist = new URL('../dist/', import.meta.url).pathname;
for (const name of readdirSync(dist, { recursive: true })) {
  if (!/\.(js|css|html|svg|json)$/.test(name) || name.startsWith('.vite')) continue;
  const file = join(dist, name);
  const bytes = readFileSync(file);
  if (bytes.length < SIZE_BYTES_MIN) continue;
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }));
}
