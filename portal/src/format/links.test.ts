import { expect, test } from 'vitest';
import { safeHref, safeReturnPath } from './links';

test('only http and https are links', () => {
  const check = (input: string | null, expected: string | undefined) =>
    expect(safeHref(input)).toBe(expected);
  check('https://example.org/a?b=c', 'https://example.org/a?b=c');
  check('HTTP://example.org', 'http://example.org/');
  check('javascript:alert(1)', undefined);
  check(' https://example.org', undefined);
  check('https://', undefined);
  check('data:text/html,x', undefined);
  check('//example.org', undefined);
  check('java\nscript:alert(1)', undefined);
  check(null, undefined);
});

test('signing in returns only to a path of the portal', () => {
  const check = (input: string | undefined, expected: string) =>
    expect(safeReturnPath(input)).toBe(expected);
  check('/registries/main/demo~app?q=a#b', '/registries/main/demo~app?q=a#b');
  check('//evil.example', '/overview');
  check('/\\evil.example', '/overview');
  check('/\t/evil.example', '/overview');
  check('https://evil.example/', '/overview');
  check('/sign-in?to=/x', '/overview');
  check(undefined, '/overview');
});
