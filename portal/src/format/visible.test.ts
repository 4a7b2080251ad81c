import { expect, test } from 'vitest';
import { visibleParts, visibleText } from './visible';

const check = (input: string, expected: string) => expect(visibleText(input)).toBe(expected);

test('unprintable characters are shown by code point', () => {
  check('demo/python-app', 'demo/python-app');
  check('', '');
  check('a\u202Egpj.exe', 'a⟨U+202E⟩gpj.exe');
  check('zero\u200Bwidth', 'zero⟨U+200B⟩width');
  check('line\nbreak\t', 'line⟨U+000A⟩break⟨U+0009⟩');
  check('\u2066x\u2069', '⟨U+2066⟩x⟨U+2069⟩');
  check('\uD800', '⟨U+D800⟩');
  check('tag \u{E0041}', 'tag ⟨U+E0041⟩');
});

test('printable text of any script stays whole', () => {
  check('<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>');
  check('größe 数据 👩', 'größe 数据 👩');
});

test('parts keep the order of the text', () => {
  expect(visibleParts('a\u0000b')).toEqual([
    { text: 'a' },
    { text: 'U+0000', code: 'U+0000' },
    { text: 'b' },
  ]);
});
