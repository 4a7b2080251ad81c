// Fails when the code that a page loads first outgrows its budget.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const FIRST_LOAD_BYTES_MAX = 280 * 1024;
const LAZY_BYTES_MAX = 110 * 1024;
const dist = new URL('../dist/', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('.vite/manifest.json', dist), 'utf8'));
const size = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length;

/** The chunk and all it imports before it runs. */
function closure(key, into = new Set()) {
  if (into.has(key)) return into;
  into.add(key);
  for (const next of manifest[key].imports ?? []) closure(next, into);
  return into;
}
const bytes = (keys) => [...keys].reduce((sum, key) => sum + (/\.js$/.test(manifest[key].file) ? size(manifest[key].file) : 0), 0);

const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
const first = closure(entry);
// What the heaviest landing page needs before its rows can show.
for (const key of ['src/components/Shell.tsx', 'src/pages/image/Image.tsx', 'src/locales/en.json']) closure(key, first);

let failed = false;
const report = (name, used, most) => {
  failed ||= used > most;
  console.log(`${used > most ? 'OVER' : 'ok  '} ${name}: ${(used / 1024).toFixed(1)} of ${most / 1024} KB gz`);
};
report('first load, findings page', bytes(first), FIRST_LOAD_BYTES_MAX);
for (const [key, chunk] of Object.entries(manifest)) {
  if (!chunk.isDynamicEntry || first.has(key)) continue;
  const own = [...closure(key)].filter((part) => !first.has(part));
  report(`lazy ${key}`, bytes(own), LAZY_BYTES_MAX);
}
process.exit(failed ? 1 : 0);
