import { expect, test } from 'vitest';
import { repositoryFromPath, repositoryToPath, shortDigest } from './names';
import { formatAge, formatBytes, formatScore, formatShare, parseMoment } from './values';

test('sizes', () => {
  const check = (bytes: number, language: string, expected: string) =>
    expect(formatBytes(bytes, language).replace(/\u00a0|\u202f/g, ' ')).toBe(expected);
  check(0, 'en', '0 bytes');
  check(999, 'en', '999 bytes');
  check(1000, 'en', '1 kB');
  check(999_600, 'en', '1 MB');
  check(48_812_345, 'en', '48.8 MB');
  check(48_812_345, 'de', '48,8 MB');
  check(1_500_000_000, 'fr', '1,5 Go');
});

test('scores and shares', () => {
  expect(formatScore(7, 'en')).toBe('7.0');
  expect(formatScore(9.8, 'nl')).toBe('9,8');
  expect(formatShare(0.9731, 'en')).toBe('97.3%');
  expect(formatShare(0.00043, 'en')).toBe('0.043%');
});

test('ages', () => {
  const now = new Date('2026-01-02T12:00:00Z');
  const check = (at: string, expected: string) =>
    expect(formatAge(new Date(at), now, 'en')).toBe(expected);
  check('2026-01-02T12:00:02Z', 'now');
  check('2026-01-02T11:59:10Z', '50 seconds ago');
  check('2026-01-02T11:57:00Z', '3 minutes ago');
  check('2026-01-01T12:00:00Z', 'yesterday');
  check('2025-12-01T12:00:00Z', 'last month');
  check('2026-01-05T12:00:00Z', 'in 3 days');
});

test('what is no date is not a date', () => {
  expect(parseMoment('soon')).toBeUndefined();
  expect(parseMoment(null)).toBeUndefined();
  expect(parseMoment('2026-01-02T00:00:00Z')?.getTime()).toBe(1767312000000);
});

test('names in paths', () => {
  expect(repositoryToPath('team/demo/app')).toBe('team~demo~app');
  expect(repositoryFromPath('team~demo~app')).toBe('team/demo/app');
  expect(shortDigest('sha256:0123456789abcdef0123')).toBe('0123456789ab');
});
