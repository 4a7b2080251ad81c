import { expect, test } from 'vitest';
import type { ImageSummary } from '../api/client';
import { rowsByDigest, rowsByTag } from './image-rows';

const image = (digest: string, tags: string[], children: ImageSummary[] = []) =>
  ({ digest, tags, children }) as unknown as ImageSummary;

const images = [
  image('sha256:a', ['1', 'latest']),
  image('sha256:b', []),
  image('sha256:c', ['x', 'y'], [image('sha256:d', []), image('sha256:e', [])]),
];
const shown = (rows: ReturnType<typeof rowsByTag>) =>
  rows.map((row) => `${'-'.repeat(row.depth)}${row.image.digest.slice(7)}:${row.tags.join()}`);

test('by tag: a row per tag, untagged images, platforms once', () => {
  expect(shown(rowsByTag(images))).toEqual(['a:1', 'a:latest', 'b:', 'c:x', 'c:y', '-d:', '-e:']);
});

test('by digest: a row per image', () => {
  expect(shown(rowsByDigest(images))).toEqual(['a:1,latest', 'b:', 'c:x,y', '-d:', '-e:']);
});

test('row keys are unique', () => {
  for (const rows of [rowsByTag(images), rowsByDigest(images)]) {
    expect(new Set(rows.map((row) => row.key)).size).toBe(rows.length);
  }
});
