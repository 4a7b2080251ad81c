// Fails when a language lacks a text, has one too many, loses a placeholder, or
// when the code names a text that is not there or no longer names one that is.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const source = new URL('../src/', import.meta.url).pathname;
const LANGUAGES = ['en', 'fr', 'de', 'nl'];
const PLURAL = /_(zero|one|two|few|many|other)$/;
const problems = [];

function flatten(value, prefix = '', into = new Map()) {
  for (const [key, child] of Object.entries(value)) {
    const name = prefix ? `${prefix}.${key}` : key;
    if (typeof child === 'string') into.set(name, child);
    else flatten(child, name, into);
  }
  return into;
}

const texts = new Map(
  LANGUAGES.map((language) => [
    language,
    flatten(JSON.parse(readFileSync(join(source, 'locales', `${language}.json`), 'utf8'))),
  ]),
);
const english = texts.get('en');
const names = new Set([...english.keys()].map((key) => key.replace(PLURAL, '')));
const placeholders = (text) => (text.match(/\{\{\s*[^}]+\}\}/g) ?? []).sort().join(' ');

for (const [language, own] of texts) {
  const { pluralCategories } = new Intl.PluralRules(language).resolvedOptions();
  const wanted = new Set();
  for (const name of names) {
    if (english.has(name)) wanted.add(name);
    else for (const category of pluralCategories) wanted.add(`${name}_${category}`);
  }
  for (const key of wanted) {
    const text = own.get(key);
    if (!text?.trim()) {
      problems.push(`${language}: "${key}" is missing`);
      continue;
    }
    const original = english.get(key) ?? english.get(`${key.replace(PLURAL, '')}_other`);
    if (placeholders(text) !== placeholders(original)) problems.push(`${language}: "${key}" has other placeholders than English`);
  }
  for (const key of own.keys()) if (!wanted.has(key)) problems.push(`${language}: "${key}" is not in English`);
}

const used = new Set();
for (const file of readdirSync(source, { recursive: true })) {
  if (!/\.tsx?$/.test(file) || /\.test\./.test(file) || file.endsWith('schema.d.ts')) continue;
  const code = readFileSync(join(source, file), 'utf8');
  for (const [, key] of code.matchAll(/\bt\(\s*'([^']+)'/g)) {
    if (names.has(key)) used.add(key);
    else problems.push(`${file}: t('${key}') has no text`);
  }
  // A computed name stands for all that fit it; tsc checks the computed part.
  for (const [, template] of code.matchAll(/\bt\(\s*`([^`]+)`/g)) {
    const parts = template.split(/\$\{[^}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const pattern = new RegExp(`^${parts.join('[^.]+')}$`);
    const matches = [...names].filter((name) => pattern.test(name));
    if (matches.length === 0) problems.push(`${file}: t(\`${template}\`) has no text`);
    for (const name of matches) used.add(name);
  }
}
for (const name of names) if (!used.has(name)) problems.push(`en: "${name}" is not used`);

for (const problem of problems) console.error(problem);
console.log(`i18n: ${names.size} texts in ${LANGUAGES.length} languages, ${problems.length} problems`);
process.exit(problems.length > 0 ? 1 : 0);
